import { randomBytes } from 'node:crypto';
import { built, ENVIRONMENT, NODE_FLAGS } from './built.mjs';
import { Child } from './child.mjs';

const { bindUdp } = await built('base/udp.js');

const LOOPBACK = '127.0.0.1';

/** A port that was free a moment ago. */
async function freePort() {
  const socket = await bindUdp({ address: LOOPBACK, port: 0 });
  socket.close();
  return socket.local.port;
}

/**
 * Relay and transceiver as child processes: `direct` both in one, `udp` apart with MACed frames in between, `socket` a bare echo.
 * @param echo `rtp` through peers (ICE, DTLS, SRTP), `datagrams` unread
 */
export class Core {
  #children;
  /** Where clients send to. */
  at;
  /** The process that owns the sessions, and the one that relays; the same for `direct`. */
  transceiver;
  relay;

  static async start(kind, echo = 'rtp') {
    const core = new Core();
    const key = `1:${randomBytes(32).toString('base64')}`;
    const start = async (settings) => {
      const child = new Child('./core-child.mjs', {
        args: [JSON.stringify({ key, echo, ...settings })],
        execArgv: NODE_FLAGS,
        env: ENVIRONMENT,
      });
      const [, port] = await child.printed(/^ready (\d+)$/m);
      return { child, port: Number(port) };
    };
    if (kind === 'udp') {
      const nodes = [
        { id: 1, port: await freePort() },
        { id: 2, port: await freePort() },
      ];
      const { child: transceiver } = await start({ part: 'transceiver', nodeId: 1, nodes, innerPort: nodes[0].port });
      const { child: relay, port } = await start({ part: 'relay', nodeId: 2, nodes, innerPort: nodes[1].port });
      Object.assign(core, { transceiver, relay, at: { address: LOOPBACK, port } });
    } else {
      const { child, port } = await start({ part: kind === 'direct' ? 'both' : 'socket', nodeId: 1 });
      Object.assign(core, { transceiver: child, relay: child, at: { address: LOOPBACK, port } });
    }
    core.#children = new Set([core.transceiver, core.relay]);
    return core;
  }

  async stop() {
    await Promise.all([...this.#children].map((child) => child.stop()));
  }
}
