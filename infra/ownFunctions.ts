import type { FunctionDefinition } from "#runtime"
import {
  beyond,
  bridgeRules,
  granted,
  hostRules,
  labels,
  type Manifest,
  namespace,
  serviceAccount
} from "./rbac.ts"

type Declared = Pick<FunctionDefinition<any>, "name" | "needs">

/** Functions of a user's own, and the files that declare them. */
export interface OwnFolder {
  readonly functions: ReadonlyArray<Declared>
  /** File name → content */
  readonly files: ReadonlyMap<string, string>
}

export interface OwnFunctions {
  readonly folders: ReadonlyArray<OwnFolder>
  /** Names the Deployment, its account and its role. */
  readonly name: string
  /** With its tag. */
  readonly image: string
  /** A short digest of a text. */
  readonly hashed: (text: string) => string
}

/** A Deployment, as far as it is changed here. */
interface Workload extends Manifest {
  readonly metadata: Manifest["metadata"] & { readonly labels?: object }
  readonly spec: {
    readonly selector: object
    readonly template: { readonly metadata: object; readonly spec: PodSpec }
  }
}

interface PodSpec {
  readonly containers: readonly [{ readonly env: ReadonlyArray<object> }]
}

/** Where the processes find them. */
const mountedAt = "/functions"

const namesOf = ({ functions }: OwnFolder) => functions.map(({ name }) => name)
const mapOf = (folder: OwnFolder) => `extip-function-${namesOf(folder)[0]}`

/** A Pod reads the files when it starts: others of them want other Pods. */
const annotations = ({ name, folders, hashed }: OwnFunctions) => ({
  [`ipcontroller.ext/sources-of-${name}`]: hashed(
    JSON.stringify(folders.map((folder) => [mapOf(folder), ...folder.files]))
  )
})

const mounted = ({ folders }: OwnFunctions) => ({
  env: [{ name: "EXTIP_FROM", value: mountedAt }],
  volumeMounts: folders.map((folder) => ({
    name: namesOf(folder)[0],
    mountPath: `${mountedAt}/${namesOf(folder)[0]}`,
    readOnly: true
  })),
  volumes: folders.map((folder) => ({ name: namesOf(folder)[0], configMap: { name: mapOf(folder) } }))
})

/** There with the component `tls`, whose ConfigMap names this path; without, there is no such Secret. */
const caOfNats = { name: "tls" }
const caSecret = {
  secretName: "extip-nats-tls",
  items: [{ key: "ca.crt", path: "ca.crt" }],
  optional: true
}

/**
 * What runs these functions in a cluster beside ours: their sources, an account with what they declare, and a
 * Deployment, made of the one of our functions. `ours` are the functions for which the bridge has its permissions.
 */
export const ownFunctions = (
  own: OwnFunctions,
  like: Workload,
  ours: ReadonlyArray<Declared>
): ReadonlyArray<Manifest> => {
  const name = `extip-${own.name}`
  const functions = own.folders.flatMap((folder) => folder.functions)
  const { env, volumeMounts, volumes } = mounted(own)
  const [container] = like.spec.template.spec.containers
  const selected = { "app.kubernetes.io/name": name }
  const toWatch = beyond(bridgeRules(functions), bridgeRules(ours))
  return [
    ...own.folders.map((folder) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: mapOf(folder), namespace, labels },
      data: Object.fromEntries(folder.files)
    })),
    serviceAccount(name),
    ...granted(name, hostRules(functions)),
    ...(toWatch.length === 0 ? [] : granted(`extip-bridge-for-${own.name}`, toWatch, "extip-bridge")),
    {
      ...like,
      metadata: { name, namespace, labels: { ...labels, ...selected } },
      spec: {
        ...like.spec,
        selector: { matchLabels: selected },
        template: {
          metadata: {
            labels: { ...labels, ...selected, "app.kubernetes.io/component": "controller" },
            annotations: annotations(own)
          },
          spec: {
            ...like.spec.template.spec,
            serviceAccountName: name,
            topologySpreadConstraints: undefined,
            priorityClassName: undefined,
            containers: [
              {
                ...container,
                image: own.image,
                env: [
                  ...container.env,
                  ...env,
                  { name: "EXTIP_ONLY", value: functions.map((fn) => fn.name).join(",") }
                ],
                volumeMounts: [...volumeMounts, { ...caOfNats, mountPath: "/etc/nats-tls", readOnly: true }]
              }
            ],
            volumes: [...volumes, { ...caOfNats, secret: caSecret }]
          }
        }
      }
    }
  ]
}

/** The change of the bridge's Deployment that makes it watch what these functions read, for `kubectl patch`. */
export const bridgePatch = (own: OwnFunctions): object => {
  const { env, volumeMounts, volumes } = mounted(own)
  return {
    spec: {
      template: {
        metadata: { annotations: annotations(own) },
        spec: { containers: [{ name: "bridge", env, volumeMounts }], volumes }
      }
    }
  }
}
