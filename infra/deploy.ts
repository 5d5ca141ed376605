import { stringify } from "yaml"
import { defaultSettings } from "../functions/domain/settings.ts"
import { functions } from "../functions/index.ts"
import { crdFiles } from "./crd.ts"
import { type Manifest, rbac } from "./rbac.ts"

/** Several objects in one file. */
export const asYaml = (objects: ReadonlyArray<Manifest>): string =>
  objects.map((object) => stringify(object, { lineWidth: 110, aliasDuplicateObjects: false })).join("---\n")

const header = (source: string) => `# Written by \`npm run generate\` from ${source}: change it there.\n`

/** File name → content of what in `infra/deploy/base` is derived. `natsConf` is the repository's. */
export const deployFiles = (natsConf: string): ReadonlyMap<string, string> =>
  new Map([
    ["crds.yaml", [...crdFiles().values()].join("---\n")],
    ["rbac.yaml", header("what the functions need") + asYaml(rbac(functions(defaultSettings)))],
    ["nats.conf", header("the repository's nats.conf") + natsConf]
  ])
