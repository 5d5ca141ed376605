import { spawn } from "node:child_process"
import { copyFileSync, linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { docker, dockerUnavailable } from "./docker.ts"
import { LocalFailure, reasonOf, type Say } from "./failure.ts"
import type { Ledger } from "./ledger.ts"
import type { Binary, Part } from "./parts.ts"

const lookMillis = 10_000
const buildMillis = 120_000
/** A registry that can be reached says what it has within a second or so; one behind a firewall says nothing for minutes. */
const silenceMillis = 15_000
const pullMillis = 300_000

/** On images that we have made ourselves: nobody shall take them for those of a registry. */
const label = "extip.built"

/** Why the image cannot be pulled, or nothing when it is here. A registry that says nothing is given up after 15 s. */
export const pull = (image: string, silence = silenceMillis): Promise<string | undefined> =>
  new Promise((done) => {
    const child = spawn("docker", ["pull", image], { stdio: ["ignore", "pipe", "pipe"] })
    let errors = ""
    const giveUp = (why: string) => {
      done(why)
      // The daemon ends its part when its client is gone.
      child.kill("SIGKILL")
    }
    const silent = setTimeout(() => giveUp(`its registry said nothing for ${silence / 1000} s`), silence)
    const late = setTimeout(() => giveUp(`not here after ${pullMillis / 1000} s`), pullMillis)
    const end = (why: string | undefined) => {
      clearTimeout(silent)
      clearTimeout(late)
      done(why)
    }
    child.stdout.once("data", () => clearTimeout(silent)).resume()
    child.stderr.on("data", (data) => {
      errors += String(data)
    })
    child.once("error", (cause) => end(cause.message))
    child.once("close", (code) =>
      end(code === 0 ? undefined : errors.trim().split("\n").at(-1) || `ended with code ${code}`)
    )
  })

export type Images =
  | { readonly _tag: "Ready"; readonly made: "officially" | "here" }
  | { readonly _tag: "Missing"; readonly why: string }
  | { readonly _tag: "NoDaemon"; readonly why: string }

/** Whether the part's images are here, or can be pulled. */
export const haveImages = (part: Part, say: Say): Effect.Effect<Images> =>
  Effect.gen(function* () {
    if (part.binaries.every(({ image }) => image === undefined)) {
      return { _tag: "Missing", why: "there is none that this could use" }
    }
    const unavailable = yield* dockerUnavailable
    if (unavailable !== undefined) return { _tag: "NoDaemon", why: unavailable }
    let made: "officially" | "here" = "officially"
    const format = `{{index .Config.Labels "${label}"}}`
    for (const { image } of part.binaries) {
      if (image === undefined) continue
      const look = ["image", "inspect", "--format", format, image]
      const there = yield* Effect.promise(() => docker(look, lookMillis))
      if ("out" in there) {
        if (there.out !== "") made = "here"
        continue
      }
      say(`${part.name}: pulling ${image}`)
      const failure = yield* Effect.promise(() => pull(image))
      if (failure === undefined) continue
      say(`${part.name}: Docker answers, but ${image} cannot be pulled: ${failure}`)
      return { _tag: "Missing", why: `${image} cannot be pulled` }
    }
    return { _tag: "Ready", made }
  })

// The binaries are static, so they need nothing beside them.
const dockerfile = (name: string) => `FROM scratch
COPY ${name} /usr/local/bin/${name}
ENV PATH=/usr/local/bin
LABEL ${label}=true
ENTRYPOINT ["/usr/local/bin/${name}"]
`

const makeImage = async ({ name, image }: Binary, folder: string, ledger: Ledger): Promise<void> => {
  // Beside the binary, so that it can be linked.
  const context = mkdtempSync(join(folder, ".image-"))
  ledger.addDirectory(context)
  try {
    const path = join(context, name)
    try {
      linkSync(join(folder, name), path)
    } catch {
      copyFileSync(join(folder, name), path)
    }
    writeFileSync(join(context, "Dockerfile"), dockerfile(name))
    const answer = await docker(["build", "--quiet", "--tag", image!, context], buildMillis)
    if ("failure" in answer) throw new Error(answer.failure)
  } finally {
    rmSync(context, { recursive: true, force: true })
    ledger.removeDirectory(context)
  }
}

/** Images of the official names out of the binaries that we have built into `folder`, for where no registry gives them. */
export const makeImages = (
  part: Part,
  folder: string,
  { say, ledger }: { readonly say: Say; readonly ledger: Ledger }
): Effect.Effect<void, LocalFailure> =>
  Effect.gen(function* () {
    for (const binary of part.binaries) {
      if (binary.image === undefined) continue
      yield* Effect.tryPromise({
        try: () => makeImage(binary, folder, ledger),
        catch: (cause) =>
          new LocalFailure({
            what: part.name,
            detail: `${binary.image} cannot be made: ${reasonOf(cause)}`,
            cause
          })
      })
      say(`${part.name}: made ${binary.image} FROM scratch, of the ${binary.name} in ${folder}`)
    }
  })

/** That of testcontainers 12.2.0, and its own variable for another one. */
const reaperImage = process.env.RYUK_CONTAINER_IMAGE || "testcontainers/ryuk:0.14.0"

/**
 * Has testcontainers do without its reaper where that cannot be had, in this process and in those that it starts: for
 * containers that are not the parts, which have the ledger instead.
 */
export const settleReaper = (say: Say): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (process.env.TESTCONTAINERS_RYUK_DISABLED !== undefined) return
    if ((await Effect.runPromise(dockerUnavailable)) !== undefined) return
    if ("out" in (await docker(["image", "inspect", reaperImage], lookMillis))) return
    const failure = await pull(reaperImage)
    if (failure === undefined) return
    process.env.TESTCONTAINERS_RYUK_DISABLED = "true"
    say(`Docker: without ${reaperImage}, which cannot be pulled: ${failure}`)
  })
