import { createHash } from "node:crypto"
import { readdirSync, readFileSync, realpathSync } from "node:fs"
import { isBuiltin } from "node:module"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as Console from "effect/Console"
import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parse, stringify } from "yaml"
import { defaultSettings } from "../../functions/domain/settings.ts"
import { functions as ours } from "../../functions/index.ts"
import { asYaml } from "../../infra/deploy.ts"
import { bridgePatch, type OwnFolder, ownFunctions } from "../../infra/ownFunctions.ts"
import { Misdeclared, requireDistinctNames, requireOneKindEach, requireOneVersionEach } from "../Function.ts"
import { type LoadedFolder, loadFolders } from "./load.ts"
import * as options from "./options.ts"
import { misdeclared } from "./process.ts"
import { version } from "./version.ts"

const deploymentOfOurs = () =>
  readFileSync(fileURLToPath(new URL("../../infra/deploy/base/functions.yaml", import.meta.url)), "utf8")

/** The sources of a function as they go into a ConfigMap, which knows no folders: without tests. */
const filesOf = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { withFileTypes: true })
      .filter(
        (entry) => entry.isFile() && /^(?!.*\.(test|fixture)\.ts$).*\.([cm]?[jt]s|json)$/.test(entry.name)
      )
      .map(({ name }) => [name, readFileSync(join(folder, name), "utf8")] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
  )

/** @throws Misdeclared when a file imports what would not be there in a Pod. */
const requireWhole = ({ folder, imports }: LoadedFolder, files: ReadonlyMap<string, string>): void => {
  const there = new Set([...files.keys()].map((name) => pathToFileURL(join(realpathSync(folder), name)).href))
  for (const { by, specifier, found } of imports) {
    if (there.has(found.replace(/[?#].*$/, "")) || isBuiltin(found)) continue
    throw new Misdeclared(
      `${fileURLToPath(by)} imports "${specifier}", which is not in its folder's ConfigMap: bundle it into that file`
    )
  }
}

const hashed = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16)

const wanted = (loaded: ReadonlyArray<LoadedFolder>, only: ReadonlyArray<string> | undefined) => {
  const names = loaded.flatMap((one) => one.functions.map(({ name }) => name))
  for (const name of only ?? []) {
    if (!names.includes(name)) {
      throw new Misdeclared(`--only ${name}: there is no such function; there are ${names.join(", ")}`)
    }
  }
  return loaded.flatMap((one): ReadonlyArray<OwnFolder> => {
    const functions = one.functions.filter(({ name }) => only?.includes(name) ?? true)
    if (functions.length === 0) return []
    const files = filesOf(one.folder)
    requireWhole(one, files)
    return [{ functions, files }]
  })
}

export const manifest = Command.make(
  "manifest",
  {
    from: options.from,
    only: options.only,
    name: Flag.String("name").pipe(
      Flag.withDefault("own"),
      Flag.withDescription("names the Deployment and its account: extip-NAME")
    ),
    image: Flag.String("image").pipe(
      Flag.withDefault(`extip:${version}`),
      Flag.withDescription("the image to run them in")
    ),
    bridge: Flag.Boolean("bridge").pipe(
      Flag.withDefault(false),
      Flag.withDescription(
        "print the patch of the Deployment extip-bridge instead: for functions that read kinds which ours do not"
      )
    )
  },
  Effect.fnUntraced(function* (flags) {
    const from = yield* Effect.fromOption(flags.from).pipe(
      Effect.mapError(() => new Misdeclared("--from PATH says which functions"))
    )
    const own = yield* Effect.tryPromise({
      try: async () => {
        const loaded = await loadFolders(from)
        const all = [...ours(defaultSettings), ...loaded.flatMap(({ functions }) => functions)]
        requireDistinctNames(all)
        requireOneVersionEach(all)
        const folders = wanted(loaded, Option.getOrUndefined(Option.map(flags.only, options.commaList)))
        requireOneKindEach(folders.flatMap(({ functions }) => functions))
        return { folders, name: flags.name, image: flags.image, hashed }
      },
      catch: misdeclared
    })
    if (flags.bridge) return yield* Console.log(stringify(bridgePatch(own)).trimEnd())
    const like = parse(deploymentOfOurs().split("\n---\n")[0]!)
    yield* Console.log(asYaml(ownFunctions(own, like, ours(defaultSettings))).trimEnd())
  })
).pipe(
  Command.withDescription(
    "what `kubectl apply` needs to run functions of your own: extip manifest --from PATH"
  )
)
