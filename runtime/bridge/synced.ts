import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream"

/**
 * Says of one resource: everything that a list at `resourceVersion` held is in the log `created`, at `sequence` or
 * before. Written after every list; read by those who may not decide before they have seen everything.
 */
export interface Synced {
  readonly created: string
  readonly sequence: number
  readonly resourceVersion: string
}

const subjectOf = (resource: string): string => `$KV.bridge.synced.${resource}`

export const writeSynced = async (js: JetStreamClient, resource: string, mark: Synced): Promise<void> => {
  await js.publish(subjectOf(resource), JSON.stringify(mark), { timeout: 5_000 })
}

/** The mark of this life of the log, or `undefined`. */
export const readSynced = async (
  jsm: JetStreamManager,
  resource: string,
  created: string
): Promise<Synced | undefined> => {
  const last = await jsm.direct.getMessage("KV_bridge", { last_by_subj: subjectOf(resource) })
  if (last === null || last.data.length === 0) return undefined
  const mark = last.json<Synced>()
  return mark.created === created ? mark : undefined
}
