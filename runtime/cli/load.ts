import { existsSync, readdirSync, realpathSync, statSync } from "node:fs"
import { registerHooks } from "node:module"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import {
  type FunctionDefinition,
  Misdeclared,
  requireDistinctNames,
  requireOneVersionEach
} from "../Function.ts"

const isFunction = (value: unknown): value is FunctionDefinition =>
  typeof value === "object" && value !== null && "handle" in value && "on" in value && "needs" in value

/** Packages that a function of the user's own gets from us: there must be one copy of each in the process. */
const shared = /^(extip|effect|ipaddr\.js)(\/.*)?$/

/** That a file imports something, but for packages that it gets from us. */
export interface Import {
  /** URL of the file */
  readonly by: string
  /** As it stands there */
  readonly specifier: string
  /** URL of what was found */
  readonly found: string
}

/** While functions are loaded. */
let imports: Array<Import> | undefined
let hooked = false
const shareOurPackages = (): void => {
  if (hooked) return
  hooked = true
  registerHooks({
    resolve: (specifier, context, next) => {
      if (shared.test(specifier)) return next(specifier, { ...context, parentURL: import.meta.url })
      const resolved = next(specifier, context)
      if (context.parentURL !== undefined) {
        imports?.push({ by: context.parentURL, specifier, found: resolved.url })
      }
      return resolved
    }
  })
}

/** A folder with a `function.ts`, and what that declares. */
export interface LoadedFolder {
  readonly folder: string
  readonly functions: ReadonlyArray<FunctionDefinition<any>>
  /** What the files of the folder import. */
  readonly imports: ReadonlyArray<Import>
}

/**
 * Loads the functions of a folder: every `<verb-on-event>/function.ts` in it, or the folder itself if it is one.
 *
 * @throws Misdeclared with a sentence when there is nothing to load, or a file declares no function.
 */
export const loadFolders = async (path: string): Promise<ReadonlyArray<LoadedFolder>> => {
  const root = resolve(path)
  if (!existsSync(root) || !statSync(root).isDirectory()) {
    throw new Misdeclared(`--from ${path}: there is no such folder`)
  }
  shareOurPackages()
  const folders = existsSync(join(root, "function.ts"))
    ? [root]
    : readdirSync(root)
        .map((name) => join(root, name))
        .filter((folder) => existsSync(join(folder, "function.ts")))
  if (folders.length === 0) {
    throw new Misdeclared(`--from ${path}: no <verb-on-event>/function.ts in it`)
  }
  const loaded: Array<LoadedFolder> = []
  const seen: Array<Import> = []
  imports = seen
  for (const folder of folders) {
    const file = join(folder, "function.ts")
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
    // Each once: one may be the default export as well.
    const functions = [...new Set(Object.values(module).filter(isFunction))]
    if (functions.length === 0)
      throw new Misdeclared(`${file}: it exports nothing that defineFunction has made`)
    const within = `${pathToFileURL(realpathSync(folder)).href}/`
    loaded.push({ folder, functions, imports: seen.filter(({ by }) => by.startsWith(within)) })
  }
  imports = undefined
  return loaded
}

export const loadFunctions = async (path: string): Promise<ReadonlyArray<FunctionDefinition<any>>> =>
  (await loadFolders(path)).flatMap(({ functions }) => functions)

/**
 * The functions to host: ours and those of `from`, or of these only the ones that `only` names.
 *
 * @throws Misdeclared when a name of `only` is unknown, two functions have one name, or read a resource in two versions.
 */
export const selectFunctions = async (
  ours: ReadonlyArray<FunctionDefinition<any>>,
  from: string | undefined,
  only: ReadonlyArray<string> | undefined
): Promise<ReadonlyArray<FunctionDefinition<any>>> => {
  const all = from === undefined ? ours : [...ours, ...(await loadFunctions(from))]
  requireDistinctNames(all)
  requireOneVersionEach(all)
  if (only === undefined) return all
  const names = new Set(all.map((fn) => fn.name))
  for (const name of only) {
    if (!names.has(name)) {
      throw new Misdeclared(`--only ${name}: there is no such function; there are ${[...names].join(", ")}`)
    }
  }
  return all.filter((fn) => only.includes(fn.name))
}
