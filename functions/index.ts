import type { Fleet, FunctionDefinition, Kube, Wire } from "#runtime"
import { allocateOnAnnotate } from "./allocate-on-annotate/function.ts"
import { assignOnClaim } from "./assign-on-claim/function.ts"
import { bindOnNode } from "./bind-on-node/function.ts"
import { claimOnExternalIp } from "./claim-on-external-ip/function.ts"
import type { Settings } from "./domain/settings.ts"
import { freeOnDelete } from "./free-on-delete/function.ts"
import { moveOnConflict } from "./move-on-conflict/function.ts"
import { recordOnBind } from "./record-on-bind/function.ts"
import { recordOnJoin } from "./record-on-join/function.ts"
import { summarizePool } from "./summarize-pool/function.ts"
import { sweep } from "./sweep/function.ts"
import { validatePool } from "./validate-pool/function.ts"

/** Everything that the controller does. Each can be left out, or hosted elsewhere. */
export const functions = (settings: Settings): ReadonlyArray<FunctionDefinition<Kube | Fleet>> => [
  validatePool(settings),
  allocateOnAnnotate(settings),
  claimOnExternalIp(settings),
  freeOnDelete(settings),
  assignOnClaim(settings),
  recordOnBind(settings),
  recordOnJoin(settings),
  moveOnConflict(settings),
  summarizePool(settings),
  sweep(settings)
]

/** What runs on the nodes instead, without Kubernetes: `extip node`. */
export const nodeFunctions: ReadonlyArray<FunctionDefinition<Wire>> = [bindOnNode]
