/** The Kubernetes objects that functions read and write. */
export { Condition, LabelSelector } from "./kinds/common.ts"
export { Namespace, Node, Service, type ServiceIngress, type ServicePort } from "./kinds/core.ts"
export { EndpointSlice } from "./kinds/endpoint-slice.ts"
export { ClaimedService, claimLimits, IpClaim } from "./kinds/ip-claim.ts"
export { IpClaimPool, PoolSpec } from "./kinds/ip-claim-pool.ts"
export { IpNode } from "./kinds/ip-node.ts"
