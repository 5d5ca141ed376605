import { execFile } from "node:child_process"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** kubectl said no. */
export class KubectlFailed extends Data.TaggedError("KubectlFailed")<{
  readonly command: string
  readonly output: string
}> {
  override get message() {
    return `${this.command}: ${this.output}`
  }
}

export type Kubectl = (...args: ReadonlyArray<string>) => Effect.Effect<string, KubectlFailed>

/** kubectl, as a person would type it. */
export const kubectlIn =
  (path: string, kubeconfig: string): Kubectl =>
  (...args) =>
    Effect.callback((resume) => {
      const child = execFile(path, ["--kubeconfig", kubeconfig, ...args], (cause, stdout, stderr) =>
        resume(
          cause === null
            ? Effect.succeed(stdout.trim())
            : Effect.fail(
                new KubectlFailed({
                  command: `kubectl ${args.join(" ")}`,
                  output: stderr.trim() || cause.message
                })
              )
        )
      )
      return Effect.sync(() => child.kill())
    })

export const applyFile = (kubectl: Kubectl, path: string) => kubectl("apply", "-f", path)
