import * as Config from "effect/Config"
import { Flag } from "effect/cli"
import * as Option from "effect/Option"

/** Every option is a flag with an environment twin; the flag wins. */
const text = (flag: string, env: string, description: string) =>
  Flag.String(flag).pipe(
    Flag.withFallbackConfig(Config.String(env)),
    Flag.withDescription(`${description} [env: ${env}]`)
  )

export const nats = text("nats", "NATS_URL", "NATS servers, separated by commas").pipe(
  Flag.withDefault("nats://127.0.0.1:4222")
)
export const natsUser = text("nats-user", "NATS_USER", "NATS user").pipe(Flag.optional)
export const natsPassword = text("nats-password", "NATS_PASSWORD", "the user's password").pipe(Flag.optional)
export const natsCreds = text("nats-creds", "NATS_CREDS", "path of a NATS credentials file").pipe(
  Flag.optional
)
export const natsCa = text(
  "nats-ca",
  "NATS_CA",
  "path of the certificates (PEM) that the servers' certificates are signed by, where the system does not know them"
).pipe(Flag.optional)

export const natsReplicas = Flag.Int("nats-replicas").pipe(
  Flag.withFallbackConfig(Config.Int("EXTIP_NATS_REPLICAS")),
  Flag.optional,
  Flag.withDescription(
    "on so many NATS servers each stream is kept, 1 to 5; default: as the streams are, new ones on one [env: EXTIP_NATS_REPLICAS]"
  )
)

export const kubeconfig = text(
  "kubeconfig",
  "KUBECONFIG",
  "path of a kubeconfig; default: ~/.kube/config, else the cluster we run in"
).pipe(Flag.optional)

export const http = text(
  "http",
  "EXTIP_HTTP",
  "host:port of /healthz, /readyz and /metrics; port 0 is any free one"
).pipe(Flag.withDefault("127.0.0.1:0"))

export const only = text("only", "EXTIP_ONLY", "names of the functions to host, separated by commas").pipe(
  Flag.optional
)
export const from = text(
  "from",
  "EXTIP_FROM",
  "a folder of functions of your own: <verb-on-event>/function.ts"
).pipe(Flag.optional)

export const loadBalancers = Flag.Literals("load-balancers", ["default", "class"]).pipe(
  Flag.withFallbackConfig(Config.Literals(["default", "class"], "EXTIP_LOAD_BALANCERS")),
  Flag.withDefault("default" as const),
  Flag.withDescription(
    'which Services of type LoadBalancer are ours: "default", those without a class as well; "class", only those of class ipcontroller.ext/external-ip [env: EXTIP_LOAD_BALANCERS]'
  )
)

export const externalCidrs = text(
  "external-cidrs",
  "EXTIP_EXTERNAL_CIDRS",
  "CIDRs, separated by commas, out of which externalIPs may be written by hand even where no pool has them"
).pipe(Flag.withDefault(""))

export const forbiddenCidrs = text(
  "forbidden-cidrs",
  "EXTIP_FORBIDDEN_CIDRS",
  "CIDRs, separated by commas, that are never given out or claimed: gateways, the cluster's own ranges"
).pipe(Flag.withDefault(""))

export const assignPolicy = Flag.Literals("assign-policy", ["fair", "first-alive"]).pipe(
  Flag.withFallbackConfig(Config.Literals(["fair", "first-alive"], "EXTIP_ASSIGN_POLICY")),
  Flag.withDefault("fair" as const),
  Flag.withDescription(
    'which node is given an address: "fair", the one with the fewest; "first-alive", the first by name [env: EXTIP_ASSIGN_POLICY]'
  )
)

export const silenceSeconds = Flag.Int("watch-silence-seconds").pipe(
  Flag.withFallbackConfig(Config.Int("EXTIP_WATCH_SILENCE_SECONDS")),
  Flag.withDefault(70),
  Flag.withDescription(
    "a watch that says nothing for so long is broken; API servers send a bookmark about once a minute [env: EXTIP_WATCH_SILENCE_SECONDS]"
  )
)

export const leaseSeconds = Flag.Int("lease-seconds").pipe(
  Flag.withFallbackConfig(Config.Int("EXTIP_LEASE_SECONDS")),
  Flag.withDefault(3),
  Flag.withDescription("after so many silent seconds another bridge takes over [env: EXTIP_LEASE_SECONDS]")
)

export const concurrency = Flag.Int("concurrency").pipe(
  Flag.withFallbackConfig(Config.Int("EXTIP_CONCURRENCY")),
  Flag.withDefault(32),
  Flag.withDescription("objects that one function works on at a time [env: EXTIP_CONCURRENCY]")
)

export const nodeName = text(
  "name",
  "NODE_NAME",
  "this node's name in Kubernetes; default: the host's name"
).pipe(Flag.optional)
export const link = text(
  "link",
  "EXTIP_LINK",
  "the network interface that carries addresses: a name, or /a regular expression/; default: the one whose subnet contains the address, else the default route's"
).pipe(Flag.optional)
export const slice = text(
  "slice",
  "EXTIP_SLICE",
  "the file that keeps what the node knows over a restart while NATS is away; on a memory file system"
).pipe(Flag.withDefault("/run/extip/slice.json"))

const millis = (flag: string, env: string, description: string, fallback: number) =>
  Flag.Int(flag).pipe(
    Flag.withFallbackConfig(Config.Int(env)),
    Flag.withDefault(fallback),
    Flag.withDescription(`${description} [env: ${env}]`)
  )

export const conflictRetryMillis = millis(
  "conflict-retry-millis",
  "EXTIP_CONFLICT_RETRY_MILLIS",
  "an address for which a foreign machine has answered is left alone for so long; an administrator needs about that to find it",
  60_000
)
export const lifetimeMillis = millis(
  "lifetime-millis",
  "EXTIP_LIFETIME_MILLIS",
  "the kernel drops an address that the runtime has not renewed for so long; longer than a restart of it takes",
  10_000
)
export const stoppedLifetimeMillis = millis(
  "stopped-lifetime-millis",
  "EXTIP_STOPPED_LIFETIME_MILLIS",
  "the same after the runtime was stopped with SIGTERM; longer than an update of it takes",
  300_000
)
export const presenceTtlMillis = millis(
  "presence-ttl-millis",
  "EXTIP_PRESENCE_TTL_MILLIS",
  "a node that NATS has not heard of for so long is lost, whole seconds; it is heard of five times as often",
  5_000
)
export const watchMillis = millis(
  "watch-millis",
  "EXTIP_WATCH_MILLIS",
  "a standby asks the holder so often; four silent answers, 100 ms apart, are its loss",
  250
)

export const natsOptions = { nats, natsUser, natsPassword, natsCreds, natsCa }
/** What an administrator decides for our functions. */
export const settingsOptions = {
  loadBalancers,
  externalCidrs,
  forbiddenCidrs,
  assignPolicy,
  conflictRetryMillis
}

export interface NatsFlags {
  readonly nats: string
  readonly natsUser: Option.Option<string>
  readonly natsPassword: Option.Option<string>
  readonly natsCreds: Option.Option<string>
  readonly natsCa: Option.Option<string>
}

/** "a, b" → ["a", "b"] */
export const commaList = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")

export const namesOf = (option: Option.Option<string>): ReadonlyArray<string> | undefined =>
  Option.isSome(option) ? commaList(option.value) : undefined
