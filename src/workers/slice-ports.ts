type RtpPorts = { readonly first: number; readonly last: number } | 'any';

/** Even slices of a range of ports, whole pairs of them, so that no two workers ever want the same. */
export function slicePorts(ports: RtpPorts, slices: number): RtpPorts[] {
  return Array.from({ length: slices }, (_, n) => {
    if (ports === 'any') return ports;
    const pairs = Math.floor((ports.last - ports.first + 1) / 2 / slices);
    const first = ports.first + n * pairs * 2;
    return { first, last: first + pairs * 2 - 1 };
  });
}
