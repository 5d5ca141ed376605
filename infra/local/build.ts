import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { arch, platform } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { cacheFolder, type Environment } from "./cache.ts"
import { LocalFailure, reasonOf, type Say } from "./failure.ts"
import type { Ledger } from "./ledger.ts"
import { lock } from "./lock.ts"
import type { Part } from "./parts.ts"
import { spawnTied } from "./process.ts"

interface Build {
  readonly env: Environment
  readonly say: Say
  readonly ledger: Ledger
  /** The path of `go`. */
  readonly go: string
}

const goArch: Readonly<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
  ia32: "386",
  riscv64: "riscv64"
}
const target = { GOOS: platform(), GOARCH: goArch[arch()] ?? arch() }
const flags = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
const progressSeconds = 3
const outputTail = 20

/** Where the cache has this part; another place for another version, pin, flag or architecture. */
export const builtFolder = (part: Part, env: Environment): string => {
  const hash = createHash("sha256")
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(part.module, file))).update("\0")
  hash.update(JSON.stringify([flags, part.ldflags, part.binaries.map(({ package: from }) => from)]))
  const name = part.name.toLowerCase().replaceAll(" ", "-")
  const key = `${name}-${part.version}-${target.GOOS}-${target.GOARCH}-${hash.digest("hex").slice(0, 12)}`
  return join(cacheFolder(env), key)
}

/** Runs `go build`, telling every few seconds that it goes on. */
const compile = (part: Part, options: Build, into: string): Effect.Effect<void, LocalFailure> =>
  Effect.callback<void, LocalFailure>((resume) => {
    const temporary = join(into, "tmp")
    mkdirSync(temporary)
    const packages = part.binaries.map((binary) => binary.package)
    const child = spawnTied(
      {
        name: "go build",
        path: options.go,
        args: ["build", "-v", ...flags, `-ldflags=${part.ldflags}`, "-o", `${into}/`, ...packages],
        ledger: options.ledger,
        cwd: part.module,
        env: {
          ...options.env,
          ...target,
          CGO_ENABLED: "0",
          GOFLAGS: "-mod=readonly",
          GOWORK: "off",
          GOTMPDIR: temporary
        }
      },
      "pipe"
    )
    const started = performance.now()
    const seconds = () => Math.round((performance.now() - started) / 1000)
    const lines: Array<string> = []
    createInterface({ input: child.stderr! }).on("line", (line) => lines.push(line))
    child.stdout!.resume()
    const tell = () => {
      const compiled = lines.filter((line) => !line.startsWith("go: ")).length
      const done = compiled === 0 ? "" : `, ${compiled} packages compiled`
      options.say(
        `${part.name}: building ${part.version} with Go, ${seconds()} s${done}` +
          ` (once; about ${part.buildTakes} on two cores when nothing is compiled yet)`
      )
    }
    const first = setTimeout(tell, 1000)
    const progress = setInterval(tell, progressSeconds * 1000)
    const stop = () => {
      clearTimeout(first)
      clearInterval(progress)
    }
    const fail = (detail: string) => {
      stop()
      resume(Effect.fail(new LocalFailure({ what: `${part.name}: go build`, detail })))
    }
    child.once("error", (cause) => fail(reasonOf(cause)))
    child.once("close", (code, signal) => {
      if (code !== 0)
        return fail(`ended with ${signal ?? `code ${code}`}:\n${lines.slice(-outputTail).join("\n")}`)
      stop()
      options.say(`${part.name}: built ${part.version} with Go in ${seconds()} s`)
      resume(Effect.void)
    })
    return Effect.sync(() => {
      stop()
      // The group: go's compilers end as well.
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    })
  })

/**
 * Builds the part into our cache, unless it is there; the folder appears there whole or not at all. Of two at
 * once one builds and the other waits. The result is the folder, with one file for every binary of the part.
 */
export const build = (part: Part, options: Build): Effect.Effect<string, LocalFailure> => {
  const folder = builtFolder(part, options.env)
  const lockFile = `${folder}.lock`
  return Effect.scoped(
    Effect.gen(function* () {
      yield* lock(lockFile, (pid) => options.say(`${part.name}: waiting for process ${pid}, which builds it`))
      if (existsSync(folder)) {
        options.say(`${part.name}: took ${part.version} built meanwhile, from ${folder}`)
        return folder
      }
      const draft = yield* draftFolder(options)
      yield* compile(part, options, draft)
      yield* Effect.try({
        try: () => {
          rmSync(join(draft, "tmp"), { recursive: true, force: true })
          for (const { name, built } of part.binaries) {
            if (built !== undefined) renameSync(join(draft, built), join(draft, name))
          }
          renameSync(draft, folder)
        },
        catch: (cause) =>
          new LocalFailure({ what: `${part.name}: ${folder}`, detail: reasonOf(cause), cause })
      })
      return folder
    })
  )
}

const draftFolder = (options: Build): Effect.Effect<string, LocalFailure, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const draft = mkdtempSync(join(cacheFolder(options.env), ".build-"))
        options.ledger.addDirectory(draft)
        return draft
      },
      catch: (cause) => new LocalFailure({ what: "the cache", detail: reasonOf(cause), cause })
    }),
    (draft) =>
      Effect.sync(() => {
        rmSync(draft, { recursive: true, force: true })
        options.ledger.removeDirectory(draft)
      })
  )
