/**
 * CEL rules of our CRDs, spread into the annotations of the Schemas that they are about.
 *
 * Every rule is evaluated even where another one has failed, so each is guarded against what is not an address. A
 * `messageExpression` only appends fields: the API server refuses one with a function in it as too costly.
 */
interface Rule {
  readonly rule: string
  readonly message?: string
  readonly messageExpression?: string
  /** The field that the error is shown at, from the object that the rule stands on. */
  readonly fieldPath?: string
}

const rules = (...all: ReadonlyArray<Rule>) => ({ "x-kubernetes-validations": all })

const isNetwork: Rule = {
  rule: "isCIDR(self)",
  messageExpression:
    "'not a network: ' + self + '; write an address, a slash and the number of bits, such as 192.168.0.248/29 or fd00:1::/64, without leading zeros and not IPv4-mapped (::ffff:...)'"
}

const numberOfIPv4 = (address: string): string =>
  [16777216, 65536, 256, 1]
    .map((weight, octet) => `int(${address}.split('.')[${octet}]) * ${weight}`)
    .join(" + ")

const isIPv4 = (address: string): string => `isIP(${address}) && ip(${address}).family() == 4`

export const poolRules = {
  cidr: rules(isNetwork, {
    rule: "!isCIDR(self) || cidr(self) == cidr(self).masked()",
    messageExpression:
      "'bits are set after the mask of ' + self + '; write the first address of the network, such as 192.168.0.248/29 and not 192.168.0.250/29'"
  }),
  range: rules(
    {
      rule: "size(self) == 2",
      message:
        "not a pair; write the first and the last address, such as [192.168.0.249, 192.168.0.250], or the same one twice"
    },
    {
      rule: "self.all(address, isIP(address))",
      message:
        "not an address; write such as 192.168.0.249 or fd00:1::10, without mask, leading zeros or zone, and not IPv4-mapped (::ffff:...)"
    },
    {
      rule: `!(size(self) == 2 && ${isIPv4("self[0]")} && ${isIPv4("self[1]")}) || ${numberOfIPv4("self[0]")} <= ${numberOfIPv4("self[1]")}`,
      messageExpression: "'reversed; write the lower address first: [' + self[1] + ', ' + self[0] + ']'"
    }
  ),
  ranges: rules({
    rule: "size(self) > 0",
    message: "empty, so that the pool has no address; leave ranges out for every usable address of the cidr"
  }),
  spec: rules(
    {
      rule: "!has(self.ranges) || !isCIDR(self.cidr) || self.ranges.all(range, range.all(address, !isIP(address) || ip(address).family() == cidr(self.cidr).ip().family()))",
      messageExpression:
        "'an address is of another family (IPv4, IPv6) than the cidr ' + self.cidr + '; make a pool for each family'",
      fieldPath: ".ranges"
    },
    {
      rule: "!has(self.ranges) || !isCIDR(self.cidr) || self.ranges.all(range, range.all(address, !isIP(address) || ip(address).family() != cidr(self.cidr).ip().family() || cidr(self.cidr).containsIP(address)))",
      messageExpression:
        "'an address is outside of ' + self.cidr + '; both ends of a range must lie in the cidr'",
      fieldPath: ".ranges"
    }
  )
}

const nameOfIPv4 = "self.spec.cidr.split('/')[0].replace('.', '-') == self.metadata.name"
const nameAsIPv6 = "self.metadata.name.replace('-', ':')"

export const claimRules = {
  cidr: rules(isNetwork),
  /** Of the whole object: only there the name is to be seen. */
  object: rules({
    rule: `!isCIDR(self.spec.cidr) || (self.spec.cidr.contains(':') ? size(self.metadata.name) == 39 && isIP(${nameAsIPv6}) && ip(${nameAsIPv6}) == cidr(self.spec.cidr).ip() : ${nameOfIPv4})`,
    messageExpression:
      "'metadata.name must be the address of spec.cidr, ' + self.spec.cidr + ', with dashes: 192-168-0-249 for 192.168.0.249/32, fd00-0000-0000-0000-0000-0000-0000-0010 for fd00::10/128'",
    fieldPath: ".spec.cidr"
  })
}
