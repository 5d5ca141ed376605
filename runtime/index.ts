/** The public surface: everything that a function needs to be declared. */
export { Assignment } from "./Assignment.ts"
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
  type Batch,
  type BatchFunctionSpec,
  defineBatchFunction,
  defineFunction,
  type FunctionDefinition,
  type FunctionSpec,
  type Guard,
  Misdeclared,
  type Tell
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
export {
  create,
  type FleetNeed,
  type Need,
  patch,
  patchStatus,
  place,
  read,
  readFresh,
  remove,
  seeFleet
} from "./Needs.ts"
export {
  every,
  type FleetTrigger,
  type FleetWakes,
  fleetChanged,
  type Keyed,
  type Tick,
  type Trigger,
  type Verb,
  type WakeEvent,
  type Wakes
} from "./Trigger.ts"
export { type Change, defineIndex, type Index, type View } from "./View.ts"
export {
  type BindFailure,
  type Bound,
  HeldByForeign,
  HeldByOurs,
  HeldByUnknown,
  KernelSaidNo,
  NoFittingLink,
  Wire
} from "./Wire.ts"
