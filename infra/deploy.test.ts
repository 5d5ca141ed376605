import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { defaultSettings } from "../functions/domain/settings.ts"
import { functions } from "../functions/index.ts"
import { deployFiles } from "./deploy.ts"
import { withPrivileges } from "./privileges.ts"

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
const files = deployFiles(read("../nats.conf"))

it.each([...files.keys()])("infra/deploy/base/%s is what `npm run generate` writes", (name) => {
  expect(read(`deploy/base/${name}`)).toBe(files.get(name))
})

it("README.md tells the privileges as `npm run generate` writes them", () => {
  const readme = read("../README.md")
  expect(readme).toBe(withPrivileges(readme, functions(defaultSettings)))
})
