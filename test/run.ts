import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import {
  createVitest,
  parseCLI,
  type TestCase,
  type TestModule,
  type TestSuite,
  type Vitest
} from "vitest/node"
import type {} from "./support/globalSetup.ts"
import type {} from "./support/suite.ts"

/** What `npm test` runs; e2e takes long and is asked for by name. */
const usual = ["unit", "integration"]

/**
 * `npm test [-- [filter...] [--project unit] [any option of vitest]]`. Prints what vitest prints, then the
 * suites that cannot run here and why, and as the last line `N passed, N failed, N skipped`.
 */
interface Outcome {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** One line for each suite that could not run. */
  readonly reasons: ReadonlyArray<string>
}

const titleOf = (task: TestSuite | TestCase): string =>
  task.parent.type === "module" ? task.name : `${titleOf(task.parent)} > ${task.name}`

const outcomeOf = (modules: ReadonlyArray<TestModule>, unhandled: number): Outcome => {
  let [passed, failed, skipped] = [0, unhandled, 0]
  const reasons: Array<string> = []
  for (const module of modules) {
    // A file that does not load, or a hook that fails, has no test of its own to carry the failure.
    failed += module.errors().length > 0 ? 1 : 0
    for (const suite of module.children.allSuites()) {
      failed += suite.errors().length > 0 ? 1 : 0
      const reason = suite.meta().skipped
      if (reason !== undefined) reasons.push(`skipped: suite ${titleOf(suite)}: ${reason}`)
    }
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === "passed") passed++
      else if (result.state === "failed") failed++
      else skipped++
      if (result.state === "skipped" && result.note !== undefined) {
        reasons.push(`skipped: ${titleOf(test)}: ${result.note}`)
      }
    }
  }
  return { passed, failed, skipped, reasons }
}

const finish = (outcome: Outcome, code: number): void => {
  const { passed, failed, skipped, reasons } = outcome
  const lines = [...reasons, `${passed} passed, ${failed} failed, ${skipped} skipped`]
  // Once it is written: a pipe takes its time, and an open handle of a test must not keep the process.
  process.stdout.write(`${lines.join("\n")}\n`, () => process.exit(code))
}

const cancelSeconds = 5
let ending = false

/**
 * Ends the run on Ctrl-C, and with it the parts that the suites share; else they are left to the next start.
 */
const endOn = (signal: NodeJS.Signals, code: number, vitest: Vitest): void => {
  // Vitest's own listener exits within a millisecond, before anything that was started can be ended.
  process.removeAllListeners(signal)
  process.on(signal, async () => {
    if (ending) process.exit(code)
    ending = true
    // A test that runs is let finish, but not for long.
    await Promise.race([vitest.cancelCurrentRun("keyboard-input"), sleep(cancelSeconds * 1000)])
    await vitest.close()
    finish(outcomeOf(vitest.state.getTestModules(), 0), code)
  })
}

/** Compiled sources are kept between the starts of programs, of which the suites have some hundreds. */
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(new URL("../node_modules/.cache/extip", import.meta.url))

/** The parts that are written in Go collect their garbage later: a fifth of an API server's work, for 300 MB of memory. */
process.env["GOGC"] ??= "400"

let vitest: Vitest | undefined
try {
  const { filter, options } = parseCLI(["vitest", "run", ...process.argv.slice(2)])
  const config = fileURLToPath(new URL("vitest.config.ts", import.meta.url))
  vitest = await createVitest({
    ...options,
    project: options.project ?? usual,
    config,
    watch: false,
    run: true
  })
  vitest.provide("filter", filter)
  endOn("SIGINT", 130, vitest)
  endOn("SIGTERM", 143, vitest)
  await vitest.start(filter)
  const outcome = outcomeOf(vitest.state.getTestModules(), vitest.state.getUnhandledErrors().length)
  if (!ending) {
    await vitest.close()
    const failed = outcome.failed > 0 || (process.exitCode !== undefined && process.exitCode !== 0)
    finish(outcome, failed ? 1 : 0)
  }
} catch (cause) {
  // No file matches the filter: vitest has said so. Anything else has no test to be counted with.
  const unmatched = cause instanceof Error && "code" in cause && cause.code === "VITEST_FILES_NOT_FOUND"
  if (!unmatched) console.error(cause)
  const outcome = outcomeOf(vitest?.state.getTestModules() ?? [], unmatched ? 0 : 1)
  await vitest?.close().catch(() => {})
  if (!ending) finish(outcome, 1)
}
