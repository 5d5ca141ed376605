/** What an image says about how it is run. */
export interface ImageConfig {
  /** As `NAME=value`. */
  readonly env: ReadonlyArray<string>
  readonly entrypoint: ReadonlyArray<string>
  /** `uid:gid`; empty for root. */
  readonly user: string
  readonly directory: string
  readonly labels: Readonly<Record<string, string>>
}

export interface Containerfile {
  readonly config: ImageConfig
  /** The default of the build argument BASE. */
  readonly base: string
  /** The folders of the repository that its last stage copies. */
  readonly sources: ReadonlyArray<string>
}

const unquoted = (value: string) => value.replace(/^"(.*)"$/, "$1")

/**
 * Reads of a Containerfile what its last stage says, with build arguments put in. Throws on an instruction there that
 * it does not know: an image that is made without a builder would lack it.
 */
export const readContainerfile = (
  text: string,
  args: Readonly<Record<string, string>> = {}
): Containerfile => {
  const lines = text
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
  const env: Array<string> = []
  const labels: Record<string, string> = {}
  const sources: Array<string> = []
  let [user, directory, entrypoint] = ["", "/", [] as ReadonlyArray<string>]
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")) + 1)
  for (const line of last) {
    const [, instruction = "", rest = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    const value = rest.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => args[name] ?? "")
    const [, key = "", assigned = ""] = /^([^=]+)=(.*)$/.exec(value) ?? []
    if (instruction === "ENV") env.push(`${key}=${unquoted(assigned)}`)
    else if (instruction === "LABEL") labels[key] = unquoted(assigned)
    else if (instruction === "USER") user = value
    else if (instruction === "WORKDIR") directory = value
    else if (instruction === "ENTRYPOINT") entrypoint = JSON.parse(value) as ReadonlyArray<string>
    else if (instruction === "COPY") {
      if (!value.startsWith("--from=")) sources.push(value.split(" ")[0]!)
    } else if (instruction !== "ARG") throw new Error(`Containerfile: ${line}: not known here`)
  }
  const base = lines.find((line) => line.startsWith("ARG BASE="))?.slice("ARG BASE=".length) ?? ""
  return { config: { env, entrypoint, user, directory, labels }, base, sources }
}
