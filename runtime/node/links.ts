import { ipvsLink } from "./kernel/ipvs.ts"
import type { Link } from "./kernel/types.ts"
import type { NodeLink } from "./surroundings.ts"

/** Which links the administrator chose: a name, or a regular expression between slashes. */
export type LinkChoice = { readonly name: string } | { readonly pattern: RegExp } | undefined

/** @throws SyntaxError for a bad expression */
export const parseLinkChoice = (text: string | undefined): LinkChoice => {
  if (text === undefined || text === "") return undefined
  const pattern = /^\/(.*)\/$/.exec(text)?.[1]
  return pattern === undefined ? { name: text } : { pattern: new RegExp(`^(?:${pattern})$`) }
}

const isChosen = (name: string, choice: LinkChoice): boolean =>
  choice !== undefined && ("name" in choice ? choice.name === name : choice.pattern.test(name))

/**
 * The links that may carry addresses: those with an address of the node's own, a default route, or chosen by name.
 * kube-proxy's own has the very addresses that are to be on another.
 */
export const usableLinks = (links: ReadonlyArray<Link>, choice: LinkChoice): ReadonlyArray<NodeLink> =>
  links
    .filter(({ name, loopback, mac }) => !loopback && mac !== "" && name !== ipvsLink)
    .map(({ index, name, mac, carrier, defaultRoutes, addresses }) => ({
      index,
      name,
      mac,
      carrier,
      defaultRoutes,
      chosen: isChosen(name, choice),
      subnets: addresses
        .filter(({ marked, linkLocal }) => !marked && !linkLocal)
        .map(({ address, prefix }) => `${address}/${prefix}`)
    }))
    .filter(({ chosen, subnets, defaultRoutes }) => chosen || subnets.length > 0 || defaultRoutes.length > 0)
