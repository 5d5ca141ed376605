import { fileURLToPath } from "node:url"

/** One program of a part. */
export interface Binary {
  readonly name: string
  /** The Go package that it is built from. */
  readonly package: string
  /** What `go build` calls it, where that is not its name. */
  readonly built?: string
  /** The official image, for where it runs as a container. One without is run as it is, beside containers too. */
  readonly image?: string
  /** What to run in the image, where the image itself does not say so. */
  readonly entrypoint?: string
}

/**
 * Something real that has to be found on, or brought to, this machine. The first binary gives the version.
 */
export interface Part {
  readonly name: string
  /** The pinned version that is built, without `v`. */
  readonly version: string
  /** The lowest version of a binary found on this machine that will do: major and minor. */
  readonly minimum: readonly [number, number]
  /** The environment variable by which a user points to one that runs already, where that can be. */
  readonly pointer?: string
  readonly binaries: ReadonlyArray<Binary>
  /** The folder of `go.mod` and `go.sum`. */
  readonly module: string
  readonly ldflags: string
  /** How long a build takes with nothing cached, on two cores. */
  readonly buildTakes: string
}

const folder = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url))

const kubernetesVersion = "1.37.2"
const stamp = "-X k8s.io/component-base/version"

/** CEL rules of our CRDs need 1.31. */
export const kubernetes = {
  name: "Kubernetes",
  version: kubernetesVersion,
  minimum: [1, 31],
  pointer: "EXTIP_KUBECONFIG",
  binaries: [
    {
      name: "kube-apiserver",
      package: "k8s.io/kubernetes/cmd/kube-apiserver",
      image: `registry.k8s.io/kube-apiserver:v${kubernetesVersion}`,
      entrypoint: "kube-apiserver"
    },
    {
      name: "etcd",
      package: "go.etcd.io/etcd/server/v3",
      built: "server",
      // The version that Kubernetes names for itself (kubeadm's DefaultEtcdVersion).
      image: "registry.k8s.io/etcd:3.7.0-0",
      entrypoint: "etcd"
    },
    { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl" }
  ],
  module: folder("kubernetes"),
  // Without a version the API server reports v0.0.0-master, and clients that compare versions are misled.
  ldflags: `-s -w ${stamp}.gitVersion=v${kubernetesVersion} ${stamp}.gitMajor=1 ${stamp}.gitMinor=37`,
  buildTakes: "5 min"
} satisfies Part

/** What makes machines into nodes of a cluster, beside the API server: for the tests on a real one. */
export const kubernetesNodes: Part = {
  name: "Kubernetes nodes",
  version: kubernetesVersion,
  minimum: [1, 31],
  module: kubernetes.module,
  ldflags: kubernetes.ldflags,
  binaries: [
    { name: "kubelet", package: "k8s.io/kubernetes/cmd/kubelet" },
    { name: "kube-proxy", package: "k8s.io/kubernetes/cmd/kube-proxy" },
    { name: "kube-controller-manager", package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
    { name: "kube-scheduler", package: "k8s.io/kubernetes/cmd/kube-scheduler" }
  ],
  buildTakes: "3 min"
}

/** The names of Services, for Pods. */
export const coredns: Part = {
  name: "CoreDNS",
  version: "1.14.4",
  minimum: [1, 11],
  binaries: [{ name: "coredns", package: "extip.local/coredns" }],
  module: folder("coredns"),
  ldflags: "-s -w",
  buildTakes: "1 min"
}

/** Atomic batches, message TTLs and delete markers: 2.12. */
export const nats = {
  name: "NATS",
  version: "2.15.2",
  minimum: [2, 12],
  pointer: "EXTIP_NATS_URL",
  binaries: [{ name: "nats-server", package: "github.com/nats-io/nats-server/v2", image: "nats:2.15.2" }],
  module: folder("nats"),
  ldflags: "-s -w",
  buildTakes: "40 s"
} satisfies Part
