/** The public surface: everything that a function needs to be declared. */
export { type Disposed, type Disposition, Park, Reject, Retry, RetryAfter } from "./Disposition.ts"
export {
  type FittingLink,
  Fleet,
  type FleetEvent,
  type FleetLink,
  type FleetNode,
  type FleetView,
  type Inventory,
  type Place,
  type Placement,
  PlacementLost,
  type Report
} from "./Fleet.ts"
export {
  defineFunction,
  type FunctionDefinition,
  type FunctionSpec,
  type Guard,
  Misdeclared
} from "./Function.ts"
export { fittingLink } from "./fleet/fittingLink.ts"
export {
  defineKind,
  type Kind,
  type KindId,
  type KubeObject,
  Metadata,
  type Ref,
  refKey,
  refOf,
  resourceName
} from "./Kind.ts"
export { type EventNote, Kube, type MergePatch, type New, type Precondition } from "./Kube.ts"
export {
  AlreadyExists,
  Conflict,
  Forbidden,
  Invalid,
  type KubeFailure,
  NotFound,
  Unavailable
} from "./KubeFailure.ts"
export { create, type Need, patch, patchStatus, read, remove } from "./Needs.ts"
export {
  every,
  type Keyed,
  type Tick,
  type Trigger,
  type Verb,
  type WakeEvent,
  type Wakes
} from "./Trigger.ts"
export { type Change, defineIndex, type Index, type View } from "./View.ts"
