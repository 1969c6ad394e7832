import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** Milliseconds since 1970, finer than Date: the clock of a browser on this machine. */
export const epochNow = () => performance.timeOrigin + performance.now();

/** RFC 7983, and RTCP apart from RTP by RFC 5761 §4. */
function kindOf(datagram) {
  const first = datagram[0] ?? 0;
  if (first < 4) return 'stun';
  if (first >= 20 && first < 64) return 'dtls';
  if (first < 128 || first >= 192) return 'other';
  const type = datagram[1] ?? 0;
  return type >= 192 && type < 224 ? 'rtcp' : 'rtp';
}

/** A network of a certain length between a browser and the gateway's relay; notes when each kind of datagram came to its end for the first time. */
export class SlowUdp {
  #front = createSocket('udp4');
  #backs = new Map();
  #to;
  #delayMs;
  /** `up rtp` → when the gateway got the first one. */
  first = {};

  static async open({ to, delayMs }) {
    const path = new SlowUdp();
    path.#to = to;
    path.#delayMs = delayMs;
    path.#front.on('message', (datagram, client) => path.#up(datagram, client));
    await new Promise((resolve) => path.#front.bind(0, LOOPBACK, resolve));
    return path;
  }

  get port() {
    return this.#front.address().port;
  }

  /** The next call is a new one. */
  forget() {
    this.first = {};
    for (const back of this.#backs.values()) back.close();
    this.#backs.clear();
  }

  close() {
    this.forget();
    this.#front.close();
  }

  #up(datagram, client) {
    // A browser has sockets on several addresses of the machine.
    const key = `${client.address}:${client.port}`;
    let back = this.#backs.get(key);
    if (!back) {
      back = createSocket('udp4');
      back.on('message', (answer) => this.#pass('down', answer, this.#front, client));
      this.#backs.set(key, back);
    }
    this.#pass('up', datagram, back, { address: LOOPBACK, port: this.#to });
  }

  #pass(way, datagram, socket, { address, port }) {
    const send = () => {
      this.first[`${way} ${kindOf(datagram)}`] ??= epochNow();
      try {
        socket.send(datagram, port, address);
      } catch {
        // Its call is over.
      }
    };
    if (this.#delayMs === 0) send();
    else setTimeout(send, this.#delayMs);
  }
}

/** The same for the HTTP door: bytes come later and in order; notes when the offer reached the gateway and when the answer left it. */
export class SlowTcp {
  #server;
  first = {};

  static async open({ to, delayMs }) {
    const path = new SlowTcp();
    const note = (name) => {
      path.first[name] ??= epochNow();
    };
    path.#server = createServer((client) => {
      const gateway = connect(to, LOOPBACK);
      for (const socket of [client, gateway]) {
        socket.setNoDelay(true);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          client.destroy();
          gateway.destroy();
        });
      }
      const later = (run) => (delayMs === 0 ? run() : setTimeout(run, delayMs));
      client.on('data', (data) =>
        later(() => {
          if (data.includes('POST /v1/realtime/calls')) note('offer');
          gateway.write(data);
        }),
      );
      gateway.on('data', (data) => {
        if (data.includes('HTTP/1.1 201')) note('answer');
        later(() => client.write(data));
      });
    });
    await new Promise((resolve) => path.#server.listen(0, LOOPBACK, resolve));
    return path;
  }

  get port() {
    return this.#server.address().port;
  }

  forget() {
    this.first = {};
  }

  close() {
    this.#server.close();
  }
}
