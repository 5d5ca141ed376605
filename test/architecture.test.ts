import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Import {
  readonly from: string
  /** A path from the root of the repository, or a package. */
  readonly to: string
}

const sources: ReadonlyArray<string> = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"],
  { cwd: root, encoding: "utf8" }
)
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)))

/** Every `from "…"` and `import("…")`; types count, since they bind as well. */
const importsOf = (path: string): ReadonlyArray<Import> => {
  const text = readFileSync(join(root, path), "utf8")
  const found = text.matchAll(/^(?:import|export)\s(?:[^"';]*?\sfrom\s+)?"([^"]+)"$|\bimport\("([^"]+)"\)/gm)
  return [...found].map(([, named, dynamic]) => {
    const to = named ?? dynamic ?? ""
    return { from: path, to: to.startsWith(".") ? normalize(join(dirname(path), to)) : to }
  })
}
const imports = sources.flatMap(importsOf)
const isTest = (path: string) => /\.(test|fixture)\.ts$/.test(path)
const isIn = (folder: string) => (path: string) => path.startsWith(`${folder}/`)
const told = (broken: ReadonlyArray<Import>) => broken.map(({ from, to }) => `${from} imports ${to}`)

/** `functions/validate-pool/decide.ts` → `functions/validate-pool` */
const functionOf = (path: string): string | undefined =>
  /^functions\/(?!domain\/|shared\/)[^/]+(?=\/)/.exec(path)?.[0]

const entryPoints = isIn("runtime/cli")

describe("the imports", () => {
  it("are seen by this test", () => {
    expect(imports.length).toBeGreaterThan(300)
    expect(told(imports)).toContain("functions/sweep/function.ts imports functions/sweep/decide.ts")
  })

  it("of a function are its own folder, what functions share, the domain and the runtime's public surface: never another function", () => {
    const allowed = ({ from, to }: Import) =>
      isIn(functionOf(from)!)(to) ||
      isIn("functions/domain")(to) ||
      isIn("functions/shared")(to) ||
      to === "#runtime" ||
      /^effect(\/|$)/.test(to) ||
      (isTest(from) && (to === "#testkit" || to === "@effect/vitest" || isIn("test/support")(to)))
    const broken = imports.filter((one) => functionOf(one.from) !== undefined && !allowed(one))
    expect(told(broken)).toEqual([])
  })

  it("of the domain and of decisions are pure: plain values, Option, Result and Schema", () => {
    const isPure = (path: string) =>
      !isTest(path) &&
      (isIn("functions/domain")(path) || (functionOf(path) !== undefined && path.endsWith("/decide.ts")))
    const pure = ["Option", "Result", "Schema", "SchemaIssue", "Order", "Struct", "Array"].map(
      (name) => `effect/${name}`
    )
    const allowed = ({ to }: Import) =>
      pure.includes(to) || to === "ipaddr.js" || to === "#runtime" || isIn("functions")(to)
    expect(told(imports.filter((one) => isPure(one.from) && !allowed(one)))).toEqual([])
  })

  it("of the domain and of what functions share know no function, and the domain not even the latter", () => {
    const broken = imports.filter(
      ({ from, to }) =>
        (isIn("functions/domain")(from) && (functionOf(to) !== undefined || isIn("functions/shared")(to))) ||
        (isIn("functions/shared")(from) && functionOf(to) !== undefined)
    )
    expect(told(broken)).toEqual([])
  })

  it("of the runtime know no function, but for its entry points", () => {
    const broken = imports.filter(
      ({ from, to }) => isIn("runtime")(from) && !entryPoints(from) && isIn("functions")(to)
    )
    expect(told(broken)).toEqual([])
  })

  it("of a Kubernetes client, NATS or a process API stand in the runtime and in tests, in the local parts and the image", () => {
    const outward =
      /^(@kubernetes\/|@nats-io\/|nats$|undici|@effect\/platform-node|node:|effect\/process|effect\/net\b)/
    const mayReachOut = (path: string) =>
      isIn("runtime")(path) ||
      isIn("test")(path) ||
      isIn("infra/local")(path) ||
      isIn("infra/image")(path) ||
      isTest(path)
    // Generating files is no talk with the outside.
    const files = /^node:(fs|path|url)$/
    const broken = imports.filter(
      ({ from, to }) => outward.test(to) && !mayReachOut(from) && !(isIn("infra")(from) && files.test(to))
    )
    expect(told(broken)).toEqual([])
  })

  it("of a host's parts go by the public surface everywhere but in the runtime, the local parts and tests", () => {
    const broken = imports.filter(
      ({ from, to }) => isIn("functions")(from) && !isTest(from) && isIn("runtime")(to)
    )
    expect(told(broken)).toEqual([])
  })
})

describe("the tree", () => {
  it("has a folder for each function that functions/index.ts names, and no other", () => {
    const folders = [...new Set(sources.map(functionOf).filter((folder) => folder !== undefined))]
    const named = imports
      .filter(({ from }) => from === "functions/index.ts")
      .map(({ to }) => functionOf(to))
      .filter((folder) => folder !== undefined)
    expect(folders.toSorted()).toEqual(named.toSorted())
  })

  it("gives a function the name of its folder", () => {
    const files = sources.filter((path) => functionOf(path) !== undefined && path.endsWith("/function.ts"))
    const wrong = files.filter(
      (path) => !readFileSync(join(root, path), "utf8").includes(`name: "${functionOf(path)!.split("/")[1]}"`)
    )
    expect(wrong).toEqual([])
  })

  it("has no drawer for odds and ends", () => {
    expect(
      sources.filter((path) =>
        /(^|\/)(utils?|common|helpers?)(\/|\.ts$)/.test(path.replace(/kinds\/common\.ts/, ""))
      )
    ).toEqual([])
  })
})
