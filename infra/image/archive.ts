import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  copyFileSync,
  createReadStream,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import type { ImageConfig } from "./containerfile.ts"

/** As the specifications of images call it. */
const architecture = process.arch === "x64" ? "amd64" : process.arch
const epoch = "1970-01-01T00:00:00Z"

// The same content is the same layer, whoever packs it and when.
const reproducible = [
  "--sort=name",
  "--owner=0",
  "--group=0",
  "--numeric-owner",
  "--mtime=@0",
  "--format=gnu"
] as const

/** Packs the folder's content, as root's, into the file; whole or not at all. */
export const packLayer = (folder: string, file: string): void => {
  const draft = `${file}.${process.pid}.draft`
  execFileSync("tar", ["--create", "--file", draft, "--directory", folder, ...reproducible, "."], {
    stdio: ["ignore", "ignore", "inherit"]
  })
  renameSync(draft, file)
}

const sha256Of = async (file: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(file), hash)
  return hash.digest("hex")
}

const place = (from: string, to: string): void => {
  try {
    linkSync(from, to)
  } catch {
    // On another file system.
    copyFileSync(from, to)
  }
}

/**
 * Writes an image as `docker save` does: what `docker load`, `podman load` and `ctr images import` take. `reference`
 * as in `extip:0.1.0`; `layers` are files of `packLayer`, the lowest first.
 */
export const writeImage = async (
  file: string,
  reference: string,
  config: ImageConfig,
  layers: ReadonlyArray<string>
): Promise<void> => {
  mkdirSync(dirname(file), { recursive: true })
  const draft = mkdtempSync(`${file}.`)
  try {
    const digests = await Promise.all(layers.map(sha256Of))
    for (const [index, digest] of digests.entries()) {
      mkdirSync(join(draft, digest), { recursive: true })
      place(layers[index]!, join(draft, digest, "layer.tar"))
    }
    const image = JSON.stringify({
      architecture,
      os: "linux",
      created: epoch,
      config: {
        Env: config.env,
        Entrypoint: config.entrypoint,
        WorkingDir: config.directory,
        User: config.user,
        Labels: config.labels
      },
      rootfs: { type: "layers", diff_ids: digests.map((digest) => `sha256:${digest}`) },
      history: digests.map(() => ({ created: epoch, created_by: "extip infra/image" }))
    })
    const id = createHash("sha256").update(image).digest("hex")
    writeFileSync(join(draft, `${id}.json`), image)
    const manifest = [
      { Config: `${id}.json`, RepoTags: [reference], Layers: digests.map((digest) => `${digest}/layer.tar`) }
    ]
    writeFileSync(join(draft, "manifest.json"), JSON.stringify(manifest))
    packLayer(draft, file)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}
