import { readFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "../support/cluster.ts"

const readme = readFileSync(join(repository, "README.md"), "utf8")

/** The commands of the README below that heading, block by block, as they stand there: the one that has these words. */
export const commandsBelow = (heading: string, words: string): string => {
  const from = readme.indexOf(`\n## ${heading}\n`)
  if (from < 0) throw new Error(`README.md has no heading ${heading}`)
  const end = readme.indexOf("\n## ", from + 4)
  const section = readme.slice(from, end < 0 ? undefined : end)
  const blocks = Array.from(section.matchAll(/```sh\n(.*?)```/gs), ([, lines]) => lines!)
  const block = blocks.find((lines) => lines.includes(words))
  if (block === undefined) throw new Error(`README.md has no commands with ${words} below ${heading}`)
  return block
}
