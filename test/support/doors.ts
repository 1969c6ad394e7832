import type { Endpoint } from './endpoint.ts';

/** What listens where, by the name the gateway gives it: `sip`, `relay`, `http`, `rtp`, `inner`. */
export type Doors = ReadonlyMap<string, Endpoint>;

/** One line a door: its name, a transport and an address, e.g. `sip    UDP 127.0.0.1:5060`. Other lines are no doors. */
export function parseDoors(lines: readonly string[]): Doors {
  const doors = new Map<string, Endpoint>();
  for (const line of lines) {
    const [, name, text = ''] = /^([a-z][\w-]*)\s+(.*)$/.exec(line) ?? [];
    const endpoint = endpointIn(text);
    if (name !== undefined && endpoint && !line.startsWith('dial ')) doors.set(name, endpoint);
  }
  return doors;
}

/** The first `address:port` in a text; 0.0.0.0 is reached at 127.0.0.1. */
function endpointIn(text: string): Endpoint | undefined {
  const match = /(?:\[([\da-f:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d+)/i.exec(text);
  const address = match?.[1] ?? match?.[2];
  return address === undefined ? undefined : { address: address === '0.0.0.0' ? '127.0.0.1' : address, port: Number(match?.[3]) };
}

/** @throws Error naming the doors there are */
export function doorNamed(doors: Doors, name: string): Endpoint {
  const found = doors.get(name);
  if (!found) throw new Error(`the gateway has no door "${name}"; it has ${[...doors.keys()].join(', ') || 'none'}`);
  return found;
}
