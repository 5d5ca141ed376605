import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { cacheFolder } from "../local/cache.ts"
import type { Say } from "../local/failure.ts"
import { packLayer } from "./archive.ts"

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** What Node needs of a system, and a shell with what it calls, for whoever has to look around in a container. */
const debianPackages = [
  "base-files",
  "base-passwd",
  "netbase",
  "tzdata",
  "libc6",
  "libgcc-s1",
  "gcc-12-base",
  "libstdc++6",
  "coreutils",
  "libacl1",
  "libattr1",
  "libgmp10",
  "libselinux1",
  "libpcre2-8-0",
  "dash"
]

const run = (command: string, args: ReadonlyArray<string>, directory: string, env = process.env): void => {
  try {
    execFileSync(command, args, {
      cwd: directory,
      env,
      stdio: ["ignore", "ignore", "pipe"],
      encoding: "utf8"
    })
  } catch (cause) {
    const said = (cause as { readonly stderr?: string }).stderr?.trim()
    throw new Error(`${command} ${args[0]}: ${said || (cause as Error).message}`, { cause })
  }
}

/** An empty root directory of an image, for the time of `body`. */
const withRoot = <A>(body: (root: string) => A): A => {
  // Not below a folder that only we may enter: apt fetches as somebody else.
  const root = mkdtempSync(join(tmpdir(), "extip-image-"))
  try {
    chmodSync(root, 0o755)
    return body(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** Layers that nobody has used for a week are removed when a new one is made: each is some hundred megabytes. */
const unusedMillis = 7 * 24 * 3_600_000

/** A layer in the cache, made by `fill` where it is not there; `key` is all that its content depends on. */
const cached = (
  name: string,
  key: ReadonlyArray<string | Buffer>,
  fill: (folder: string) => void
): string => {
  const hash = createHash("sha256").update(readFileSync(fileURLToPath(import.meta.url)))
  for (const part of key) hash.update(part).update("\0")
  const folder = join(cacheFolder(process.env), "image")
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}-${hash.digest("hex").slice(0, 12)}.tar`)
  if (existsSync(file)) {
    utimesSync(file, new Date(), new Date())
    return file
  }
  withRoot((root) => {
    fill(root)
    packLayer(root, file)
  })
  for (const other of readdirSync(folder)) {
    if (!other.startsWith(`${name}-`) || !other.endsWith(".tar")) continue
    const path = join(folder, other)
    if (Date.now() - statSync(path).mtimeMs > unusedMillis) rmSync(path, { force: true })
  }
  return file
}

/** The Node that this repository pins, of this machine's platform. */
const nodeOf = (repository: string): string => {
  const path = join(repository, `node_modules/node-linux-${process.arch}/bin/node`)
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm ci`)
  return path
}

/** Debian packages of this machine's release, and Node: what the official image of Node has, where that cannot be had. */
export const baseLayer = (repository: string, say: Say): string => {
  const { version } = JSON.parse(
    readFileSync(join(repository, `node_modules/node-linux-${process.arch}/package.json`), "utf8")
  ) as { readonly version: string }
  const release = existsSync("/etc/debian_version") ? readFileSync("/etc/debian_version", "utf8") : ""
  return cached("base", [version, release, ...debianPackages], (root) => {
    say(`image: fetching ${debianPackages.length} Debian packages`)
    const fetched = join(root, "fetched")
    mkdirSync(fetched)
    run("apt-get", ["download", "--quiet", ...debianPackages], fetched)
    for (const file of readdirSync(fetched))
      run("dpkg-deb", ["--extract", join(fetched, file), root], fetched)
    rmSync(fetched, { recursive: true })
    for (const name of ["doc", "man", "locale", "info", "lintian"]) {
      rmSync(join(root, "usr/share", name), { recursive: true, force: true })
    }
    // What the packages' own scripts would do.
    copyFileSync(join(root, "usr/share/base-passwd/passwd.master"), join(root, "etc/passwd"))
    copyFileSync(join(root, "usr/share/base-passwd/group.master"), join(root, "etc/group"))
    mkdirSync(join(root, "usr/local/bin"), { recursive: true })
    copyFileSync(nodeOf(repository), join(root, "usr/local/bin/node"))
    symlinkSync("/app/runtime/cli/main.js", join(root, "usr/local/bin/extip"))
  })
}

/** `node_modules` of production. */
export const dependenciesLayer = (source: string, say: Say): string => {
  const files = ["package.json", "package-lock.json"]
  const key = [...files.map((name) => join(source, name)), here("prune.sh")].map((file) => readFileSync(file))
  return cached("dependencies", key, (root) => {
    say("image: npm ci --omit=dev")
    const app = join(root, "app")
    mkdirSync(app)
    for (const name of files) copyFileSync(join(source, name), join(app, name))
    run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], app)
    run("sh", [here("prune.sh"), "node_modules"], app)
    rmSync(join(app, "package-lock.json"))
  })
}

const isLeftOut = (path: string) => /\.(test|fixture)\.ts$/.test(path) || /\/infra\/image\//.test(path)

/** The sources as they are, without tests. */
export const sourcesLayer = (source: string, folders: ReadonlyArray<string>, file: string): void =>
  withRoot((root) => {
    for (const folder of folders) {
      cpSync(join(source, folder), join(root, "app", folder), {
        recursive: true,
        filter: (path) => !isLeftOut(path)
      })
    }
    packLayer(root, file)
  })

/** What Node makes of the sources when they are loaded; `below`: the layers with them and with what they import. */
export const compiledLayer = (repository: string, below: ReadonlyArray<string>, file: string): void =>
  withRoot((root) => {
    for (const layer of below) run("tar", ["--extract", "--file", layer, "--directory", root], root)
    const app = join(root, "app")
    const PATH = `${dirname(nodeOf(repository))}:${process.env["PATH"] ?? ""}`
    run("sh", [here("warm.sh"), app], root, { ...process.env, PATH })
    for (const name of readdirSync(app)) {
      if (name !== ".compile-cache") rmSync(join(app, name), { recursive: true })
    }
    packLayer(root, file)
  })

/** Programs that are linked statically, at the root: an image as `FROM scratch` makes it. Names to paths. */
export const programLayer = (programs: Readonly<Record<string, string>>, file: string): void =>
  withRoot((root) => {
    for (const [name, path] of Object.entries(programs)) copyFileSync(path, join(root, name))
    packLayer(root, file)
  })
