import { execFile } from "node:child_process"
import * as Effect from "effect/Effect"

const answerMillis = 2_000

export type Answer = { readonly out: string } | { readonly failure: string }

/** Asks the Docker client. A failure is its last line. */
export const docker = (args: ReadonlyArray<string>, millis: number): Promise<Answer> =>
  new Promise((done) => {
    execFile("docker", args, { timeout: millis }, (failure, out, errors) => {
      if (failure === null) return done({ out: out.trim() })
      done({ failure: errors.trim().split("\n").at(-1) || failure.message })
    })
  })

/** Why no Docker daemon can be used, or nothing when one answers (within 2 s). */
export const dockerUnavailable: Effect.Effect<string | undefined> = Effect.promise(() =>
  docker(["info", "--format", "{{.ServerVersion}}"], answerMillis)
).pipe(Effect.map((answer) => ("failure" in answer ? "no Docker daemon answers" : undefined)))
