import { inject } from "vitest"
import type { ControlPlane } from "../../infra/local/index.ts"
import { suite } from "./suite.ts"

/**
 * What the suites share of the control plane. Its processes are not theirs to end: for that, start an own
 * one.
 */
export interface Shared extends Omit<ControlPlane, "etcd" | "apiServer"> {
  /** We have started it; not when `EXTIP_KUBECONFIG` points to a cluster. */
  readonly own: boolean
}

export type SharedControlPlane = Shared | { readonly unavailable: string }

const reason = (part: string, message: string) => `${part}: ${message.split("\n")[0]!.replace(/:$/, "")}`

/** The one of this file: files that run side by side have one each, as most of our objects are in no namespace. */
const provided = (): SharedControlPlane =>
  inject("controlPlanes")[Number(process.env.VITEST_POOL_ID) - 1] ?? { unavailable: "none was started" }

const whyNoKubernetes = (): string | undefined => {
  const shared = provided()
  return "unavailable" in shared ? reason("no Kubernetes API", shared.unavailable) : undefined
}

const whyNoNats = (): string | undefined => {
  const unavailable = inject("natsUnavailable")
  return unavailable === "" ? undefined : reason("no nats-server", unavailable)
}

/**
 * The shared control plane. In a suite that is skipped its fields are undefined: only its tests' names are
 * read.
 */
const shared = () => provided() as Shared

/** A suite that needs a Kubernetes API: run with the shared one, or skipped, by name, with the reason. */
export const withControlPlane = (name: string, body: (shared: Shared) => void): void =>
  suite(name, whyNoKubernetes(), () => body(shared()))

/** A suite whose tests start, and may kill, nats-servers of their own. */
export const withNats = (name: string, body: () => void): void => suite(name, whyNoNats(), body)

/** A suite that needs both. */
export const withParts = (name: string, body: (shared: Shared) => void): void =>
  suite(name, whyNoKubernetes() ?? whyNoNats(), () => body(shared()))

/** A suite whose tests start, and may kill, control planes of their own. */
export const withOwnControlPlane = (name: string, body: () => void): void =>
  suite(
    name,
    whyNoKubernetes() ??
      (shared().own ? undefined : "EXTIP_KUBECONFIG points to a cluster, which is not ours to end"),
    body
  )
