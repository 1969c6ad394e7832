/*
 * Reports every look-up of a name and every datagram or connection to an address beyond loopback. Works as a preload
 * (`node --require`, with EGRESS_WATCH_FILE naming the file to write to; workers are covered too) and as a module for the
 * running process. What native addons send by themselves is not seen.
 */
const dgram = require('node:dgram');
const dns = require('node:dns');
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const net = require('node:net');

function isLoopback(address) {
  const plain = String(address).replace(/^::ffff:/, '');
  return plain === 'localhost' || plain === '::1' || (net.isIPv4(plain) && plain.startsWith('127.'));
}

/** Hooks this process; returns the function that takes the hooks off again. */
function install(report) {
  const undo = [];
  const seen = (kind, target) => report({ kind, target, stack: new Error().stack.split('\n').slice(3, 9).join('\n') });

  function replace(owner, name, wrap) {
    const original = owner[name];
    if (typeof original !== 'function') return;
    owner[name] = wrap(original);
    undo.push(() => {
      owner[name] = original;
    });
  }

  // A literal address needs no look-up, and localhost is in a file.
  const isName = (host) => typeof host === 'string' && host !== '' && net.isIP(host) === 0 && host !== 'localhost';
  const askers = ['lookup', 'lookupService', 'reverse', 'resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveCaa', 'resolveCname'];
  askers.push('resolveMx', 'resolveNaptr', 'resolveNs', 'resolvePtr', 'resolveSoa', 'resolveSrv', 'resolveTxt', 'resolveTlsa');
  for (const owner of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    for (const name of askers) {
      replace(owner, name, (original) =>
        Object.defineProperties(function (host, ...rest) {
          // Apart from lookup, each of them asks a server whatever it is asked for.
          if (name !== 'lookup' || isName(host)) seen('dns', String(host));
          return original.call(this, host, ...rest);
        }, Object.getOwnPropertyDescriptors(original)),
      );
    }
  }

  const addressOf = (args) => args.find((arg, index) => index > 0 && typeof arg === 'string');
  replace(
    dgram.Socket.prototype,
    'send',
    (original) =>
      function (...args) {
        const address = addressOf(args);
        if (address !== undefined && !isLoopback(address)) seen('udp', address);
        return original.apply(this, args);
      },
  );
  replace(
    dgram.Socket.prototype,
    'connect',
    (original) =>
      function (...args) {
        const address = addressOf(args);
        if (address !== undefined && !isLoopback(address)) seen('udp', address);
        return original.apply(this, args);
      },
  );
  replace(
    net.Socket.prototype,
    'connect',
    (original) =>
      function (...args) {
        const [first] = Array.isArray(args[0]) ? args[0] : args;
        const second = Array.isArray(args[0]) ? undefined : args[1];
        const isPath = (typeof first === 'object' && first?.path) || (typeof first === 'string' && !/^\d+$/.test(first));
        const host = typeof first === 'object' ? first?.host : typeof second === 'string' ? second : undefined;
        if (!isPath && host !== undefined && host !== null && !isLoopback(host)) seen('tcp', host);
        return original.apply(this, args);
      },
  );
  syncBuiltinESMExports();
  return () => {
    for (const each of undo.reverse()) each();
    syncBuiltinESMExports();
  };
}

module.exports = { install };

const { EGRESS_WATCH_FILE: file } = process.env;
if (file) install((contact) => fs.appendFileSync(file, `${JSON.stringify(contact)}\n`));
