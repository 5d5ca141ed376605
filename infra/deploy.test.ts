import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { deployFiles } from "./deploy.ts"

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
const files = deployFiles(read("../nats.conf"))

it.each([...files.keys()])("infra/deploy/base/%s is what `npm run generate` writes", (name) => {
  expect(read(`deploy/base/${name}`)).toBe(files.get(name))
})
