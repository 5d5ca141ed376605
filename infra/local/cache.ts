import { homedir } from "node:os"
import { join } from "node:path"

/** The environment a part is looked for in; given by tests, else the process's own. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Where built binaries, locks and the ledger are kept: `${XDG_CACHE_HOME:-~/.cache}/extip`. */
export const cacheFolder = (env: Environment): string => {
  const given = env.XDG_CACHE_HOME
  return join(given === undefined || given === "" ? join(homedir(), ".cache") : given, "extip")
}
