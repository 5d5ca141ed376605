import { describe } from "vitest"

declare module "vitest" {
  interface TaskMeta {
    /** Why a suite cannot run here; `test/run.ts` prints it. */
    skipped?: string
  }
}

/** A suite that is skipped as a whole, by name, when there is a reason why it cannot run here. */
export const suite = (name: string, cannotRun: string | undefined, body: () => void): void => {
  if (cannotRun === undefined) describe(name, body)
  else describe(name, { skip: true, meta: { skipped: cannotRun } }, body)
}
