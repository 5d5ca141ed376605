/**
 * The real parts on one machine: a Kubernetes API and a NATS server, found or built, started, and ended. Each
 * is looked for in this order: what the user points to (`EXTIP_KUBECONFIG`, `EXTIP_NATS_URL`); binaries
 * (`KUBEBUILDER_ASSETS`, `PATH`, our cache); Docker; a build with Go from the pinned modules beside this
 * file. `EXTIP_PARTS=containers` leaves only Docker; where no registry gives the official images, they are made of
 * what is in our cache or is built into it.
 */
export {
  type ControlPlane,
  type ControlPlaneOptions,
  controlPlane,
  type OwnControlPlane,
  ownControlPlane
} from "./controlPlane.ts"
export { dockerUnavailable } from "./docker.ts"
export { LocalFailure, type Say } from "./failure.ts"
export { settleReaper } from "./images.ts"
export {
  type NatsOptions,
  type NatsRole,
  type NatsServer,
  natsImage,
  natsRoles,
  natsServer,
  type OwnNatsServer,
  ownNatsServer
} from "./nats.ts"
export { type NatsCluster, type NatsMember, ownNatsCluster } from "./natsCluster.ts"
export type { LocalProcess } from "./process.ts"
export { localProgram, type ProgramOptions } from "./program.ts"
export { endLeftovers } from "./start.ts"
