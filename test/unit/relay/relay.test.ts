import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/base/metrics.ts';
import { deriveRelayKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { directLink } from '../../../src/ownership/direct-link.ts';
import type { RelayedPath } from '../../../src/ownership/relay-link.ts';
import { makeUfrag } from '../../../src/ownership/ufrag.ts';
import { Relay } from '../../../src/relay/relay.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeSocket } from '../ownership/fake-socket.ts';
import { checkFor, DTLS, RTP } from './stun-check.ts';

const client = { address: '192.0.2.7', port: 5000 };
const publicEndpoint = { address: '203.0.113.1', port: 3478 };

/** A relay and the transceiver's end of its link, in one process. */
function relayInProcess() {
  const keys = deriveRelayKeys(randomClusterKeys());
  const clock = new FakeClock();
  const metrics = new Metrics();
  const socket = new FakeSocket();
  const { relayLink, transceiverLink } = directLink({ nodeId: 7, endpoints: [publicEndpoint] });
  const relay = new Relay({ socket, link: transceiverLink, keys, clock, metrics });
  const received: { readonly datagram: Buffer; readonly path: RelayedPath }[] = [];
  relayLink.onDatagram = (datagram, path) => void received.push({ datagram, path });
  const from = (datagram: Buffer, endpoint = client) => socket.onDatagram?.(datagram, endpoint);
  const check = () => checkFor(makeUfrag({ nodeId: 7, generation: 0 }, keys));
  return { clock, metrics, socket, relayLink, relay, received, from, check };
}

describe('a relay', () => {
  it('hands a client to its transceiver and back without copying', () => {
    const { from, check, received, socket, relayLink } = relayInProcess();
    const first = check();
    from(first);
    from(DTLS);
    expect(received.map(({ datagram }) => datagram)).toEqual([first, DTLS]);
    expect(received[0]?.datagram).toBe(first);
    expect(received[0]?.path).toBe(received[1]?.path);
    expect(received[0]?.path).toMatchObject({ key: '192.0.2.7:5000', address: '192.0.2.7', port: 5000 });
    received[0]?.path.send(RTP);
    expect(socket.sent).toEqual([{ datagram: RTP, to: '192.0.2.7:5000' }]);
    expect(relayLink.candidates).toEqual([publicEndpoint]);
  });

  it('answers strangers nothing, remembers nothing of them and counts why', async () => {
    const { from, relay, received, socket, metrics } = relayInProcess();
    from(DTLS);
    from(RTP);
    from(Buffer.alloc(0));
    from(Buffer.alloc(8193));
    from(checkFor('A'.repeat(22)));
    for (let i = 0; i < 500; i += 1) from(randomBytes(i), { address: '198.51.100.9', port: 1024 + i });
    expect(received).toEqual([]);
    expect(socket.sent).toEqual([]);
    expect(relay.flows).toBe(0);
    const text = await metrics.text();
    expect(text).toContain('ringdown_relay_dropped_total{reason="bad_ufrag"} 1');
    expect(text).toContain('ringdown_relay_dropped_total{reason="too_large"} 1');
    expect(text).toMatch(/ringdown_relay_dropped_total\{reason="no_check"\} 50[0-9]/);
  });

  it('counts what it forwards', async () => {
    const { from, check, received, clock, metrics } = relayInProcess();
    from(check());
    from(RTP);
    received[0]?.path.send(RTP);
    clock.advance(1000);
    const text = await metrics.text();
    expect(text).toContain('ringdown_relay_datagrams_total{direction="up"} 2');
    expect(text).toContain('ringdown_relay_datagrams_total{direction="down"} 1');
    expect(text).toContain('ringdown_relay_flows 1');
  });

  it('forgets a flow whose session is gone', () => {
    const { from, check, received, relay, relayLink } = relayInProcess();
    from(check());
    const path = received[0]?.path;
    if (path) relayLink.gone(path);
    expect(relay.flows).toBe(0);
    from(DTLS);
    expect(received).toHaveLength(1);
  });

  it('forgets a flow that is not used, and learns it again from its transceiver', () => {
    const { from, check, received, relay, clock, socket } = relayInProcess();
    from(check());
    clock.advance(12_000);
    expect(relay.flows).toBe(0);
    received[0]?.path.send(RTP);
    expect(socket.sent).toHaveLength(1);
    from(DTLS);
    expect(received[1]?.path.key).toBe(received[0]?.path.key);
  });

  it('closes its port and stops its clock', () => {
    const { relay, socket, clock, from, check, received } = relayInProcess();
    relay.close();
    expect(socket.closed).toBe(true);
    expect(clock.nextTimer()).toBeUndefined();
    from(check());
    received[0]?.path.send(RTP);
    expect(socket.sent).toEqual([]);
  });
});
