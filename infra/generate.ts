import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { crdFiles } from "./crd.ts"

/** Makes a folder consist of these files, and says what changed. */
const write = (folder: string, files: ReadonlyMap<string, string>): void => {
  const path = fileURLToPath(new URL(folder, import.meta.url))
  mkdirSync(path, { recursive: true })
  for (const name of readdirSync(path)) if (!files.has(name)) rmSync(`${path}/${name}`)
  for (const [name, text] of files) {
    writeFileSync(`${path}/${name}`, text)
    console.log(`infra/${folder}/${name}`)
  }
}

write("crds", crdFiles())
