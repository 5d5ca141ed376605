import * as Effect from "effect/Effect"
import { defineFunction, Kube, patch, read, refOf } from "extip"
import { Service } from "extip/kinds"

const given = "ipcontroller.ext/allocated"
const target = "external-dns.alpha.kubernetes.io/target"

/**
 * Tells external-dns the address that a Service was given.
 *
 * Reads   the Service.
 * Writes  its annotation `external-dns.alpha.kubernetes.io/target`.
 * Repeat  harmless: an annotation that is right already is not written again.
 */
export const targetOnAllocate = defineFunction({
  name: "target-on-allocate",
  on: [Service.changed],
  when: function hasAnAddressUnknownToDns({ metadata: { annotations = {} } }: Service) {
    return annotations[given] !== undefined && annotations[target] !== annotations[given]
  },
  needs: [read(Service), patch(Service)],
  handle: Effect.fnUntraced(function* (service: Service) {
    const kube = yield* Kube
    const { uid, resourceVersion, annotations = {} } = service.metadata
    const address = annotations[given]!
    const change = { metadata: { annotations: { [target]: address } } }
    yield* kube.patch(Service, refOf(service), { uid, resourceVersion }, change)
    return `told external-dns ${address}`
  })
})
