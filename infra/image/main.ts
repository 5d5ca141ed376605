import { execFileSync, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { readContainerfile } from "./containerfile.ts"
import { imageFromDebian } from "./image.ts"

/**
 * `npm run image [-- --tag REFERENCE] [--output FILE] [--base IMAGE]`: with Docker or Podman by the Containerfile, where
 * its base can be had; else an archive on a base of Debian packages, which is loaded into Docker, if that answers.
 */
const repository = fileURLToPath(new URL("../..", import.meta.url))
const { version } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8")) as { version: string }
const { values } = parseArgs({
  options: {
    tag: { type: "string", default: `extip:${version}` },
    output: { type: "string", default: `.tmp/extip-${version}.tar` },
    base: { type: "string" }
  }
})
const say = (line: string) => console.log(line)
const pullMillis = 300_000

const containerfile = `${repository}/infra/image/Containerfile`
const base = values.base ?? readContainerfile(readFileSync(containerfile, "utf8")).base
const revision =
  spawnSync("git", ["-C", repository, "rev-parse", "HEAD"], { encoding: "utf8" }).stdout?.trim() ?? ""

const answers = (engine: string) =>
  spawnSync(engine, ["info"], { stdio: "ignore", timeout: 10_000 }).status === 0
const engine = ["docker", "podman"].find(answers)
const had = (image: string) =>
  spawnSync(engine!, ["image", "inspect", image], { stdio: "ignore" }).status === 0 ||
  spawnSync(engine!, ["pull", "--quiet", image], { stdio: "ignore", timeout: pullMillis }).status === 0

if (engine !== undefined && had(base)) {
  say(`image: building ${values.tag} with ${engine} on ${base}`)
  const args = ["build", "-t", values.tag, "-f", containerfile, "--build-arg", `BASE=${base}`]
  execFileSync(engine, [...args, "--build-arg", `REVISION=${revision}`, repository], { stdio: "inherit" })
  say(`image: ${values.tag} is in ${engine}`)
} else {
  if (values.base !== undefined) {
    console.error(
      `image: ${base} cannot be had: ${engine === undefined ? "neither Docker nor Podman answers" : `${engine} cannot pull it`}`
    )
    process.exit(1)
  }
  const why = engine === undefined ? "neither Docker nor Podman answers" : `${engine} cannot pull ${base}`
  say(`image: ${why}: making a base of this machine's Debian packages and Node from npm instead`)
  const size = await imageFromDebian({
    repository,
    reference: values.tag,
    revision,
    output: values.output,
    say
  })
  say(`image: ${values.tag}, ${Math.round(size / 1e6)} MB, in ${values.output}`)
  if (engine !== undefined) {
    execFileSync(engine, ["load", "--quiet", "--input", values.output], { stdio: "inherit" })
    say(`image: loaded into ${engine}`)
  } else {
    say(`image: on each node: ctr -n k8s.io images import FILE; or docker load -i FILE`)
  }
}
