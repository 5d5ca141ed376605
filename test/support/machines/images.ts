import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { writeImage } from "../../../infra/image/archive.ts"
import { imageFromDebian } from "../../../infra/image/image.ts"
import { programLayer } from "../../../infra/image/layers.ts"
import type { Say } from "../../../infra/local/failure.ts"
import { onPath } from "../../../infra/local/find.ts"
import { repository } from "../cluster.ts"
import { pauseImage } from "./node.ts"
import type { Programs } from "./programs.ts"

export interface Image {
  readonly reference: string
  readonly archive: string
}

const archiveIn = (directory: string, reference: string): string =>
  join(directory, `${reference.replaceAll(/[/:]/g, "_")}.tar`)

/** One program, linked statically, and nothing else. */
const programImage = async (
  directory: string,
  reference: string,
  name: string,
  path: string,
  args: ReadonlyArray<string> = []
): Promise<Image> => {
  const archive = archiveIn(directory, reference)
  const layer = `${archive}.layer`
  programLayer({ [name]: path }, layer)
  const config = { env: [], entrypoint: [`/${name}`, ...args], user: "", directory: "/", labels: {} }
  await writeImage(archive, reference, config, [layer])
  rmSync(layer)
  return { reference, archive }
}

/** Makes our image of a working tree's sources. */
export const ourImage = async (
  directory: string,
  reference: string,
  say: Say,
  source = repository
): Promise<Image> => {
  const archive = archiveIn(directory, reference)
  await imageFromDebian({ repository, source, reference, output: archive, say })
  return { reference, archive }
}

/** Ours, of this working tree, and what else runs in the cluster. */
export const clusterImages = async (
  directory: string,
  { dns, nats }: Programs,
  say: Say
): Promise<ReadonlyArray<Image>> => {
  const busybox = onPath(process.env, "busybox")!
  return [
    await programImage(directory, pauseImage, "busybox", busybox, ["sleep", "2147483647"]),
    await programImage(directory, "extip.test/coredns:1", "coredns", dns),
    await programImage(directory, "nats:2.15.2", "nats-server", nats),
    await ourImage(directory, "extip:0.1.0", say)
  ]
}

/** The sources of an earlier commit, in a folder of their own; nothing where the history does not have it. */
export const sourcesOf = (directory: string, commit: string): string | undefined => {
  const folder = join(directory, `sources-${commit.replaceAll(/[^\w]/g, "_")}`)
  try {
    mkdirSync(folder)
    const archive = execFileSync("git", ["-C", repository, "archive", commit], {
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "ignore"]
    })
    execFileSync("tar", ["--extract", "--directory", folder], { input: archive })
    return folder
  } catch {
    return undefined
  }
}
