import { execFile } from "node:child_process"
import { accessSync, constants, statSync } from "node:fs"
import { delimiter, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { build, builtFolder } from "./build.ts"
import type { Environment } from "./cache.ts"
import { LocalFailure, type Say } from "./failure.ts"
import { haveImages, makeImages } from "./images.ts"
import type { Ledger } from "./ledger.ts"
import type { Part } from "./parts.ts"

/** How the part's programs are run. Keys of `paths` are names of binaries. */
export type Found =
  | { readonly _tag: "Binaries"; readonly paths: Readonly<Record<string, string>> }
  | { readonly _tag: "Images" }

export interface Search {
  readonly env: Environment
  readonly say: Say
  readonly ledger: Ledger
  /** A way that has been tried and failed is left out. */
  readonly without?: ReadonlyArray<"Docker">
}

export const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const pathFolders = (env: Environment) => (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "")

/** The first executable of that name on PATH. */
export const onPath = (env: Environment, name: string): string | undefined =>
  pathFolders(env)
    .map((folder) => resolve(folder, name))
    .find(isExecutable)

const versionOf = (path: string): Promise<string | undefined> =>
  new Promise((done) => {
    execFile(path, ["--version"], { timeout: 10_000 }, (_, output) => {
      done(/(\d+\.\d+(?:\.\d+)?[^\s]*)/.exec(String(output))?.[1])
    })
  })

/** Whether `1.37.2` is at least `[1, 31]`. */
export const suffices = (version: string, minimum: readonly [number, number]): boolean => {
  const [major = 0, minor = 0] = version.split(".").map((digits) => Number.parseInt(digits, 10))
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1])
}

type Look =
  | { readonly paths: Record<string, string>; readonly version: string }
  | { readonly passedOver: string }

/** The part's programs in `folder`; others than the first may lie on PATH instead. */
const lookIn = async (part: Part, folder: string, env: Environment): Promise<Look | undefined> => {
  const first = part.binaries[0]!
  const main = resolve(folder, first.name)
  if (!isExecutable(main)) return undefined
  const paths: Record<string, string> = { [first.name]: main }
  for (const { name } of part.binaries.slice(1)) {
    const beside = resolve(folder, name)
    const path = isExecutable(beside) ? beside : onPath(env, name)
    if (path === undefined) return { passedOver: `there is no ${name} beside it or on PATH` }
    paths[name] = path
  }
  const version = await versionOf(main)
  if (version === undefined) return { passedOver: "it does not tell its version" }
  if (!suffices(version, part.minimum)) {
    return { passedOver: `it is ${version}, and ${part.minimum.join(".")} or later is needed` }
  }
  return { paths, version }
}

const inFolders = (part: Part, { env, say }: Search): Effect.Effect<Found | undefined> =>
  Effect.promise(async () => {
    const assets = env.KUBEBUILDER_ASSETS
    const folders = [...(assets === undefined || assets === "" ? [] : [assets]), ...pathFolders(env)]
    for (const folder of new Set(folders)) {
      const look = await lookIn(part, folder, env)
      if (look === undefined) continue
      const main = join(folder, part.binaries[0]!.name)
      const from = folder === assets ? "KUBEBUILDER_ASSETS" : "PATH"
      if ("passedOver" in look) say(`${part.name}: passed over ${main}: ${look.passedOver}`)
      else {
        say(`${part.name}: took ${main} (${look.version}), from ${from}`)
        return { _tag: "Binaries", paths: look.paths }
      }
    }
    return undefined
  })

const inCache = (part: Part, { env, say }: Search): Found | undefined => {
  const folder = builtFolder(part, env)
  const paths = Object.fromEntries(part.binaries.map(({ name }) => [name, join(folder, name)]))
  if (!Object.values(paths).every(isExecutable)) return undefined
  say(`${part.name}: took ${part.version} built before, from ${folder}`)
  return { _tag: "Binaries", paths }
}

/** Whether the parts are to run as containers, whatever else there is. */
export const wantsContainers = (env: Environment): boolean => env.EXTIP_PARTS === "containers"

const withGo = (part: Part, search: Search): Effect.Effect<Found, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const go = onPath(search.env, "go")
    if (go === undefined)
      return yield* new LocalFailure({ what: part.name, detail: "there is no go on PATH" })
    const folder = yield* build(part, { ...search, go })
    const paths = Object.fromEntries(part.binaries.map(({ name }) => [name, join(folder, name)]))
    return { _tag: "Binaries", paths }
  })

const tookImages = (part: Part, made: "officially" | "here", { say }: Search): Found => {
  say(`${part.name}: took ${made === "here" ? "images made here" : "the official images"}, with Docker`)
  return { _tag: "Images" }
}

/** A program that no image has, and that is not there to be run beside containers. */
const missingBeside = (part: Part, env: Environment): string | undefined =>
  part.binaries.find(
    ({ name, image }) =>
      image === undefined &&
      onPath(env, name) === undefined &&
      !isExecutable(join(builtFolder(part, env), name))
  )?.name

/** Official images; where no registry gives them, images of their names, out of what we have built or build now. */
const asContainers = (part: Part, search: Search): Effect.Effect<Found, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const images = yield* haveImages(part, search.say)
    if (images._tag === "NoDaemon") {
      return yield* new LocalFailure({ what: part.name, detail: `EXTIP_PARTS=containers, and ${images.why}` })
    }
    const isWhole = images._tag === "Ready" && missingBeside(part, search.env) === undefined
    if (!isWhole && inCache(part, search) === undefined) yield* withGo(part, search)
    if (images._tag === "Missing") yield* makeImages(part, builtFolder(part, search.env), search)
    return tookImages(part, images._tag === "Ready" ? images.made : "here", search)
  })

/**
 * Finds the part: binaries in `KUBEBUILDER_ASSETS`, on `PATH`, in our cache; official images when a Docker
 * daemon answers; else a build with Go into the cache. With `EXTIP_PARTS=containers` it is images in any case. Says
 * which it took, and why it passed others over.
 */
export const find = (part: Part, search: Search): Effect.Effect<Found, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const hasImages = part.binaries.some(({ image }) => image !== undefined)
    if (hasImages && wantsContainers(search.env)) return yield* asContainers(part, search)
    const found = (yield* inFolders(part, search)) ?? inCache(part, search)
    if (found !== undefined) return found
    let docker = "failed"
    const missing = hasImages ? missingBeside(part, search.env) : undefined
    if (missing !== undefined) docker = `there is no ${missing} on PATH`
    else if (search.without?.includes("Docker") !== true) {
      const images = yield* haveImages(part, search.say)
      if (images._tag === "Ready") return tookImages(part, images.made, search)
      docker = images.why
    }
    const built = yield* Effect.result(withGo(part, search))
    if (built._tag === "Success") return built.success
    const names = part.binaries.map(({ name }) => name)
    const minimum = part.minimum.join(".")
    const why = built.failure.detail
    const ways = [
      ...(part.pointer === undefined ? [] : [`${part.pointer} pointing to one that runs: not set`]),
      `${names.join(" and ")}, ${minimum} or later, in KUBEBUILDER_ASSETS or on PATH: none`,
      `Docker, for the official images: ${docker}`,
      `Go 1.26 or later, to build it (once, ${part.buildTakes}): ${why}`
    ]
    return yield* new LocalFailure({
      what: part.name,
      detail: [
        `could not be found in any of these ${ways.length} ways:`,
        ...ways.map((way, index) => `  ${index + 1}. ${way}`)
      ].join("\n")
    })
  })
