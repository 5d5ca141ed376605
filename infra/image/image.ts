import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Say } from "../local/failure.ts"
import { writeImage } from "./archive.ts"
import { readContainerfile } from "./containerfile.ts"
import { baseLayer, compiledLayer, dependenciesLayer, sourcesLayer } from "./layers.ts"

export interface ImagePlan {
  /** A checkout whose `npm ci` has been run: its Node and its packages' lock are used. */
  readonly repository: string
  /** Where the sources come from; another one than `repository` for another version of them. */
  readonly source?: string
  /** As in `extip:0.1.0`. */
  readonly reference: string
  /** The commit, for the label. */
  readonly revision?: string
  /** Where the archive is written, as `docker save` writes it. */
  readonly output: string
  readonly say: Say
}

/** Makes the image without a container engine or a registry, on a base of Debian packages. The result is its size in bytes. */
export const imageFromDebian = async (plan: ImagePlan): Promise<number> => {
  const { repository, source = repository, say } = plan
  const { config, sources } = readContainerfile(
    readFileSync(join(repository, "infra/image/Containerfile"), "utf8"),
    { REVISION: plan.revision ?? "" }
  )
  const base = baseLayer(repository, say)
  const dependencies = dependenciesLayer(source, say)
  const draft = mkdtempSync(join(tmpdir(), "extip-image-"))
  try {
    const own = join(draft, "sources.tar")
    sourcesLayer(source, sources, own)
    const compiled = join(draft, "compiled.tar")
    compiledLayer(repository, [dependencies, own], compiled)
    mkdirSync(dirname(plan.output), { recursive: true })
    await writeImage(plan.output, plan.reference, config, [base, dependencies, own, compiled])
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return statSync(plan.output).size
}
