import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defaultSettings } from "../functions/domain/settings.ts"
import { functions } from "../functions/index.ts"
import { crdFiles } from "./crd.ts"
import { deployFiles } from "./deploy.ts"
import { withPrivileges } from "./privileges.ts"

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const write = (folder: string, files: ReadonlyMap<string, string>): void => {
  mkdirSync(pathOf(folder), { recursive: true })
  for (const [name, text] of files) {
    writeFileSync(`${pathOf(folder)}/${name}`, text)
    console.log(`infra/${folder}/${name}`)
  }
}

/** A folder that consists of these files. */
const writeWhole = (folder: string, files: ReadonlyMap<string, string>): void => {
  write(folder, files)
  for (const name of readdirSync(pathOf(folder))) if (!files.has(name)) rmSync(`${pathOf(folder)}/${name}`)
}

writeWhole("crds", crdFiles())
write("deploy/base", deployFiles(readFileSync(pathOf("../nats.conf"), "utf8")))

const readme = pathOf("../README.md")
writeFileSync(readme, withPrivileges(readFileSync(readme, "utf8"), functions(defaultSettings)))
console.log("README.md")
