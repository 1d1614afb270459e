// Messages of Fishjam's peer socket (`/socket/peer/websocket`): the part of protobuf they need, and their fields.
// Source: Fishjam's public protos `peer_notifications`, `media_events/peer` and `media_events/server`.

/**
 * @typedef {"string" | "int32" | "bool"} Scalar
 * @typedef {Scalar | Schema} Type
 * @typedef {{ name: string, type: Type, kind: "one" | "many" | "map" }} Field
 * @typedef {{ fields: Map<number, Field>, numbers: Map<string, number> }} Schema
 * @typedef {{ number: number, type: Type, kind?: "one" | "many" | "map" }} Definition
 * @typedef {Record<string, any>} Message Absent messages are undefined, other absent fields their default.
 */

export class ProtocolError extends Error {}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** @param {number} number @param {Type} [type] @returns {Definition} */
const one = (number, type = "string") => ({ number, type });
/** @param {number} number @param {Type} [type] @returns {Definition} */
const many = (number, type = "string") => ({ number, type, kind: "many" });
/** @param {number} number @param {Type} [type] @returns {Definition} */
const map = (number, type = "string") => ({ number, type, kind: "map" });

/**
 * @param {Record<string, Definition>} definitions
 * @returns {Schema}
 */
function message(definitions) {
  const fields = new Map();
  const numbers = new Map();
  for (const [name, { number, type, kind = "one" }] of Object.entries(definitions)) {
    fields.set(number, { name, type, kind });
    numbers.set(name, number);
  }
  return { fields, numbers };
}

const EMPTY = message({});
const Metadata = message({ metadataJson: one(1) });
const Candidate = message({
  candidate: one(1),
  sdpMLineIndex: one(2, "int32"),
  sdpMid: one(3),
  usernameFragment: one(4),
});
const TrackBitrates = message({ trackId: one(1) });
const Track = message({ metadataJson: one(1) });
const Endpoint = message({ endpointType: one(2), metadataJson: one(3), tracks: map(4, Track) });
const IceServer = message({ credential: one(1), urls: many(2), username: one(3) });

const PeerEvent = message({
  connect: one(1, Metadata),
  disconnect: one(2, EMPTY),
  updateEndpointMetadata: one(3, Metadata),
  updateTrackMetadata: one(4, message({ trackId: one(1), metadataJson: one(2) })),
  renegotiateTracks: one(5, EMPTY),
  candidate: one(6, Candidate),
  sdpOffer: one(
    7,
    message({
      sdp: one(1),
      trackIdToMetadataJson: map(2),
      trackIdToBitrates: map(3, TrackBitrates),
      midToTrackId: map(4),
    }),
  ),
  unmuteTrack: one(12, message({ trackId: one(1) })),
});

const ServerEvent = message({
  endpointUpdated: one(1, message({ endpointId: one(1), metadataJson: one(2) })),
  trackUpdated: one(2, message({ endpointId: one(1), trackId: one(2), metadataJson: one(3) })),
  tracksAdded: one(3, message({ endpointId: one(1), tracks: map(2, Track) })),
  tracksRemoved: one(4, message({ endpointId: one(1), trackIds: many(2) })),
  endpointAdded: one(5, message({ endpointId: one(1), metadataJson: one(2) })),
  endpointRemoved: one(6, message({ endpointId: one(1) })),
  connected: one(
    7,
    message({ endpointId: one(1), endpoints: map(2, Endpoint), iceServers: many(3, IceServer) }),
  ),
  error: one(8, message({ message: one(1) })),
  offerData: one(
    9,
    message({ tracksTypes: one(1, message({ audio: one(1, "int32"), video: one(2, "int32") })) }),
  ),
  candidate: one(10, Candidate),
  sdpAnswer: one(11, message({ sdp: one(1), midToTrackId: map(2) })),
  vadNotification: one(12, message({ trackId: one(1), status: one(2, "int32") })),
});

/** Every message of the socket: exactly one of its fields is set. */
const PeerMessage = message({
  authenticated: one(1, message({ roomType: one(1, "int32") })),
  authRequest: one(2, message({ token: one(1), sdkVersion: one(2) })),
  peerMediaEvent: one(5, PeerEvent),
  serverMediaEvent: one(6, ServerEvent),
});

/**
 * A message as bytes.
 * @param {Message} value `{authRequest: {...}}` or `{peerMediaEvent: {...}}`
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(value) {
  return new Uint8Array(encoded(PeerMessage, value));
}

/**
 * Bytes as a message; fields that are not known are skipped.
 * @param {ArrayBuffer} bytes
 * @returns {Message}
 * @throws {ProtocolError} They are no such message.
 */
export function decode(bytes) {
  return decoded(PeerMessage, new Uint8Array(bytes));
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8");

/** @param {number[]} out @param {number} value */
function putVarint(out, value) {
  let rest = value >>> 0;
  while (rest > 0x7f) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
}

/** @param {number[]} out @param {number} number @param {Iterable<number> & { length: number }} bytes */
function putBytes(out, number, bytes) {
  putVarint(out, (number << 3) | BYTES);
  putVarint(out, bytes.length);
  // Not `push(...bytes)`: an offer is longer than some engines take arguments.
  for (const byte of bytes) out.push(byte);
}

/** @param {number[]} out @param {number} number @param {Type} type @param {any} value @param {boolean} always */
function put(out, number, type, value, always) {
  if (typeof type !== "string") {
    putBytes(out, number, encoded(type, value));
  } else if (type === "string") {
    if (value || always) putBytes(out, number, utf8.encode(value ?? ""));
  } else if (value || always) {
    putVarint(out, number << 3);
    putVarint(out, Number(value));
  }
}

/** @param {Schema} schema @param {Message} value @returns {number[]} */
function encoded(schema, value) {
  /** @type {number[]} */
  const out = [];
  for (const [name, item] of Object.entries(value)) {
    const number = schema.numbers.get(name);
    const field = number === undefined ? undefined : schema.fields.get(number);
    if (number === undefined || field === undefined) throw new ProtocolError(`there is no field ${name}`);
    if (item === undefined || item === null) continue;
    if (field.kind === "many") {
      for (const each of item) put(out, number, field.type, each, true);
    } else if (field.kind === "map") {
      const entry = message({ key: one(1), value: one(2, field.type) });
      for (const [key, each] of Object.entries(item))
        putBytes(out, number, encoded(entry, { key, value: each }));
    } else {
      put(out, number, field.type, item, false);
    }
  }
  return out;
}

/** Bytes that are read from the front. */
class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** The low 32 bits of a number; a protobuf int32 that is negative has ten bytes. */
  varint() {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.bytes.length) throw new ProtocolError("a message ends within a number");
      const byte = this.bytes[this.at++];
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new ProtocolError("a number has more than ten bytes");
  }

  /** @param {number} length */
  take(length) {
    if (length < 0 || length > this.bytes.length - this.at)
      throw new ProtocolError("a message ends within a field");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** @param {number} wire */
  skip(wire) {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.take(8);
    else if (wire === BYTES) this.take(this.varint());
    else if (wire === FIXED32) this.take(4);
    else throw new ProtocolError(`there is no wire type ${wire}`);
  }
}

/** @param {Schema} schema @param {Uint8Array} bytes @returns {Message} */
function decoded(schema, bytes) {
  const value = defaults(schema);
  const reader = new Reader(bytes);
  while (reader.at < bytes.length) {
    const tag = reader.varint();
    const wire = tag & 7;
    const field = schema.fields.get(tag >>> 3);
    if (field === undefined || wire !== wireOf(field)) {
      reader.skip(wire);
    } else if (field.kind === "map") {
      const entry = decoded(
        message({ key: one(1), value: one(2, field.type) }),
        reader.take(reader.varint()),
      );
      value[field.name][entry.key] = entry.value ?? defaults(/** @type {Schema} */ (field.type));
    } else if (field.kind === "many") {
      value[field.name].push(read(reader, field.type));
    } else {
      value[field.name] = read(reader, field.type);
    }
  }
  return value;
}

/** @param {Field} field */
function wireOf(field) {
  return field.kind === "one" && (field.type === "int32" || field.type === "bool") ? VARINT : BYTES;
}

/** @param {Reader} reader @param {Type} type */
function read(reader, type) {
  if (type === "int32") return reader.varint();
  if (type === "bool") return reader.varint() !== 0;
  const bytes = reader.take(reader.varint());
  return type === "string" ? text.decode(bytes) : decoded(type, bytes);
}

/** @param {Schema} schema @returns {Message} */
function defaults(schema) {
  /** @type {Message} */
  const value = {};
  for (const { name, type, kind } of schema.fields.values()) {
    if (kind === "many") value[name] = [];
    else if (kind === "map") value[name] = Object.create(null);
    else if (type === "string") value[name] = "";
    else if (type === "int32") value[name] = 0;
    else if (type === "bool") value[name] = false;
  }
  return value;
}
