import { join } from "node:path"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { cacheFolder } from "./cache.ts"
import type { LocalFailure } from "./failure.ts"
import { makeLedger } from "./ledger.ts"
import { type LocalProcess, startProcess } from "./process.ts"

export interface ProgramOptions {
  readonly name: string
  readonly path: string
  readonly args: ReadonlyArray<string>
  /** The file that takes what it prints. */
  readonly log: string
  /** Asked until it says yes. */
  readonly ready: Effect.Effect<boolean>
  readonly readyWithinSeconds: number
}

/** Runs a program beside the parts: it ends with the scope, and with us, however we end. */
export const localProgram = (
  options: ProgramOptions
): Effect.Effect<LocalProcess, LocalFailure, Scope.Scope> =>
  startProcess({ ...options, ledger: makeLedger(join(cacheFolder(process.env), "started")) })
