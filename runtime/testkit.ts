/**
 * The test kit: functions run without a cluster and without NATS, on an in-memory Kubernetes that a contract suite
 * holds to the real one.
 */
export { MemoryFleet, type TestReport, testLink } from "./fleet/memory.ts"
export { TestCluster, type TestClusterOptions, type TestRun } from "./host/testCluster.ts"
export { MemoryApi, type MemoryEvent } from "./kube/memory.ts"
