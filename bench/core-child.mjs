// Parts of the core in a process of their own, without codecs: a relay, a transceiver that echoes, both, or a bare socket to compare with.
import { built } from './built.mjs';
import { goFirst } from './priority.mjs';

goFirst();
process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const { systemClock: clock } = await built('base/clock.js');
const { Metrics } = await built('base/metrics.js');
const { bindUdp } = await built('base/udp.js');
const { deriveNodeKeys, parseClusterKeys } = await built('ownership/cluster-keys.js');
const { directLink } = await built('ownership/direct-link.js');
const { InnerWire } = await built('ownership/inner-wire.js');
const { MemoryDirectory } = await built('ownership/memory-directory.js');
const { icePwd, makeUfrag } = await built('ownership/ufrag.js');
const { UdpRelayLink } = await built('ownership/udp-relay-link.js');
const { Relay } = await built('relay/relay.js');
const { UdpTransceiverLink } = await built('relay/udp-transceiver-link.js');
const { createIdentity } = await built('webrtc/dtls/identity.js');
const { packetKind } = await built('webrtc/packet-kind.js');
const { Peer } = await built('webrtc/peer.js');
const { readUsername } = await built('webrtc/stun/read-username.js');

const { part, nodeId, key, nodes = [], innerPort = 0, echo } = JSON.parse(process.argv[2]);
const LOOPBACK = '127.0.0.1';
const keys = deriveNodeKeys(parseClusterKeys(key));
const metrics = new Metrics();
const identity = createIdentity(clock.wallclock());

/** The transceiver's half: peers on one link, found by ufrag and path, each sending back what it hears. */
class EchoOwner {
  #byUfrag = new Map();
  #byPath = new Map();

  constructor(link) {
    link.onDatagram = (datagram, path) => {
      if (echo === 'datagrams') path.send(datagram);
      else this.#route(datagram, path);
    };
  }

  open({ ufrag: remoteUfrag, fingerprint }) {
    const ufrag = makeUfrag({ nodeId, generation: 0 }, keys);
    const local = { ufrag, pwd: icePwd(ufrag, keys) };
    const peer = new Peer(
      { clock, identity },
      {
        ice: { type: 'lite', local, remoteUfrag },
        dtlsRole: 'client',
        remoteFingerprints: [fingerprint],
        handlers: {
          onPathVerified: (path) => this.#byPath.set(path.key, peer),
          onRtp: (packet) => peer.sendRtp(packet),
        },
      },
    );
    this.#byUfrag.set(ufrag, peer);
    peer.start();
    return { ...local, fingerprint: identity.fingerprint };
  }

  #route(datagram, path) {
    const name = packetKind(datagram) === 'stun' ? readUsername(datagram)?.split(':', 1)[0] : undefined;
    const peer = name === undefined ? this.#byPath.get(path.key) : this.#byUfrag.get(name);
    peer?.handleDatagram(datagram, path, clock.now());
  }
}

let owner;
const socket = part === 'transceiver' ? undefined : await bindUdp({ address: LOOPBACK, port: 0 });
const endpoints = socket ? [{ ...socket.local, transport: 'udp' }] : [];
if (part === 'socket') {
  socket.onDatagram = (datagram, from) => socket.send(datagram, from);
} else if (part === 'both') {
  const { relayLink, transceiverLink } = directLink({ nodeId, endpoints });
  owner = new EchoOwner(relayLink);
  new Relay({ socket, link: transceiverLink, keys, clock, metrics });
} else {
  const wire = new InnerWire({ socket: await bindUdp({ address: LOOPBACK, port: innerPort }), keys, clock, metrics }, { nodeId });
  if (part === 'transceiver') owner = new EchoOwner(new UdpRelayLink({ wire, clock }));
  else {
    const records = nodes.map(({ id, port }) => ({ nodeId: id, inner: { address: LOOPBACK, port } }));
    const link = new UdpTransceiverLink({ wire, directory: new MemoryDirectory(records), clock }, { endpoints });
    new Relay({ socket, link, keys, clock, metrics });
  }
}

process.on('message', ({ ask, gc, client }) => {
  if (gc) globalThis.gc?.();
  if (ask === 'figures') process.send({ cpu: process.cpuUsage(), memory: process.memoryUsage() });
  if (ask === 'open') process.send(owner.open(client));
  if (ask === 'ufrag') process.send(makeUfrag({ nodeId, generation: 0 }, keys));
});
process.on('SIGTERM', () => process.exit(0));
console.log(`ready ${socket?.local.port ?? 0}`);
