import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/base/metrics.ts';
import { ClientAddress } from '../../../src/ownership/client-address.ts';
import { deriveRelayKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { directLink } from '../../../src/ownership/direct-link.ts';
import type { RelayedPath } from '../../../src/ownership/relay-link.ts';
import type { TransceiverLink } from '../../../src/ownership/transceiver-link.ts';
import { makeUfrag } from '../../../src/ownership/ufrag.ts';
import { writeFrame } from '../../../src/relay/frame-reader.ts';
import { Relay } from '../../../src/relay/relay.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeSocket } from '../ownership/fake-socket.ts';
import { FakeListener } from './fake-stream.ts';
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
  const listener = new FakeListener();
  const relay = new Relay({ socket, listener, link: transceiverLink, keys, clock, metrics });
  const received: { readonly datagram: Buffer; readonly path: RelayedPath }[] = [];
  relayLink.onDatagram = (datagram, path) => void received.push({ datagram, path });
  const from = (datagram: Buffer, endpoint = client) => socket.onDatagram?.(datagram, endpoint);
  const check = () => checkFor(makeUfrag({ nodeId: 7, generation: 0 }, keys));
  return { clock, metrics, socket, listener, relayLink, transceiverLink, relay, received, from, check };
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

  it('gives the datagrams of a client whose address somebody else claims to both owners, whoever is right', () => {
    const keys = deriveRelayKeys(randomClusterKeys());
    const socket = new FakeSocket();
    const received: string[] = [];
    const link: TransceiverLink = {
      knows: () => true,
      send: (nodeId, to, datagram) => void received.push(`${nodeId} ${to.text} ${datagram.length}`),
      onDatagram: undefined,
      onFlow: undefined,
      onGone: undefined,
      close: () => undefined,
    };
    new Relay({ socket, link, keys, clock: new FakeClock(), metrics: new Metrics() });
    const address = ClientAddress.of(client.address, client.port) as ClientAddress;
    for (const nodeId of [7, 8]) {
      socket.onDatagram?.(checkFor(makeUfrag({ nodeId, generation: 0 }, keys)), client);
      link.onDatagram?.(nodeId, address, RTP);
    }
    received.length = 0;
    socket.onDatagram?.(RTP, client);
    expect(received).toEqual([`7 192.0.2.7:5000 ${RTP.length}`, `8 192.0.2.7:5000 ${RTP.length}`]);
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

describe('a relay, to a client over TCP,', () => {
  it('is the same as over UDP, and the two are two ways even from one port', () => {
    const { from, check, listener, received, socket, relay } = relayInProcess();
    const stream = listener.connect(client.address, client.port);
    const first = check();
    stream.receive(writeFrame(first), writeFrame(DTLS));
    from(check());
    expect(received.map(({ datagram }) => datagram).slice(0, 2)).toEqual([first, DTLS]);
    const [overTcp, , overUdp] = received.map(({ path }) => path);
    expect(overTcp).toMatchObject(client);
    expect(overTcp?.key).toMatch(/^tcp:192\.0\.2\.7:5000#\d+$/);
    expect(overUdp?.key).toBe('192.0.2.7:5000');
    overTcp?.send(RTP);
    expect([stream.written, socket.sent]).toEqual([[writeFrame(RTP)], []]);
    overUdp?.send(RTP);
    expect([stream.written.length, socket.sent.length]).toEqual([1, 1]);
    expect(relay.flows).toBe(2);
  });

  it.each([
    ['a check for a made-up session', checkFor('A'.repeat(22))],
    ['DTLS', DTLS],
    ['RTP', RTP],
  ])('says nothing when it begins with %s, and hangs up', (_name, datagram) => {
    const { listener, relay, received } = relayInProcess();
    const stream = listener.connect();
    stream.receive(writeFrame(datagram));
    expect([stream.destroyed, stream.written.length, relay.flows, received.length]).toEqual([true, 0, 0, 0]);
  });

  it('hangs up when the session is gone', () => {
    const { check, listener, relayLink, relay, received } = relayInProcess();
    const stream = listener.connect();
    stream.receive(writeFrame(check()));
    if (received[0]) relayLink.gone(received[0].path);
    expect([stream.destroyed, relay.flows]).toEqual([true, 0]);
  });

  it('hangs up at once when its transceiver does not know the session of its first check', () => {
    const { check, listener, relayLink, relay } = relayInProcess();
    relayLink.onDatagram = (_datagram, path) => relayLink.gone(path);
    const stream = listener.connect();
    stream.receive(writeFrame(check()));
    expect([stream.destroyed, relay.flows]).toEqual([true, 0]);
  });

  it('forgets the way when the client leaves, and does not learn it from the transceiver', () => {
    const { check, listener, relay, received, socket } = relayInProcess();
    const stream = listener.connect();
    stream.receive(writeFrame(check()));
    stream.onClose?.();
    expect(relay.flows).toBe(0);
    received[0]?.path.send(RTP);
    expect([relay.flows, socket.sent.length, stream.written.length]).toEqual([0, 0, 0]);
  });

  it('keeps the connection of a client whose way was forgotten, and takes his next check', () => {
    const { check, listener, relay, received, clock } = relayInProcess();
    const stream = listener.connect();
    const again = check();
    stream.receive(writeFrame(again));
    clock.advance(11_000); // the flow table gives up an unanswered flow before the connection is given up
    expect([relay.flows, stream.destroyed]).toEqual([0, false]);
    stream.receive(writeFrame(again));
    expect(received).toHaveLength(2);
    expect(received[1]?.path).toBe(received[0]?.path);
  });

  it('closes all connections with the port', () => {
    const { check, listener, relay, clock } = relayInProcess();
    const stream = listener.connect();
    stream.receive(writeFrame(check()));
    relay.close();
    expect([stream.destroyed, listener.closed, clock.nextTimer()]).toEqual([true, true, undefined]);
  });
});
