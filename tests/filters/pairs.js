// Generates filters and events, and asks npm's simple-json-match 1.3.0 whether each filter matches its event.
// Prints one pair per line: {"filter": …, "event": …, "matches": true}.
//
//     npm install simple-json-match@1.3.0 && node tests/filters/pairs.js 1 1200 > tests/filters/pairs.ndjson
//
// NODE_PATH has to lead to the package. Numbers have at most 15 digits, which doubles tell apart.
"use strict";
const match = require("simple-json-match").default;

const [seed, count] = process.argv.slice(2).map(Number);

// mulberry32
let state = seed >>> 0;
const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const below = (most) => Math.floor(random() * most);
const one = (list) => list[below(list.length)];
const some = (make, most) => Array.from({ length: below(most + 1) }, make);
const list = (make, most) => `[${some(make, most).join(",")}]`;
const object = (members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;

const NAMES = ["a", "b", "status", "0", "10"];
const NUMBERS = ["0", "-0", "1", "1.0", "1.10", "1.1", "1e0", "5", "-5", "10", "1e1", "0.1", "100", "99.99", "1E-2"];
const TEXTS = ["", "0", "1", "1.10", " 5 ", "5", "abc", "ab", "b", "true", "null", "0x10", "1e1", "[1]", '{"a":1}', "[]",
    "2026-01-02", "2026-01-10", "\u{1f600}", "\uff21", "Infinity", ".5", "5.", "+5", "1_0", "\t10\n", "\ufeff1", "\u00851"];
const number = () => one(NUMBERS);
const text = () => JSON.stringify(one(TEXTS));
const scalar = () => one([number, number, text, text, () => "true", () => "false", () => "null"])();

// JSON of an event: small, so that filters often match.
const value = (depth) => {
    const kind = random();
    if (depth === 0 || kind < 0.5) return scalar();
    if (kind < 0.75) return list(() => value(depth - 1), 3);
    return fields(() => value(depth - 1), 3);
};
const fields = (make, most) => {
    const names = [...new Set(some(() => one(NAMES), most))];
    return object(names.map((name) => [name, make()]));
};

// Conditions often take their operands and names from `near`, the value at their place, so that they are decided by little.
const isObject = (near) => typeof near === "object" && near !== null;
const isScalar = (near) => near !== undefined && !isObject(near);
const comparison = (near) => {
    const operand = () => (isScalar(near) && random() < 0.5 ? JSON.stringify(near) : scalar());
    const plain = () => (["string", "number"].includes(typeof near) && random() < 0.5 ? JSON.stringify(near) : one([number, text])());
    const piece = () => {
        const start = typeof near === "string" && random() < 0.7 ? below(near.length + 1) : -1;
        return start < 0 ? text() : JSON.stringify(one([near.slice(0, start), near.slice(start)]).toWellFormed());
    };
    const any = () => (random() < 0.5 ? operand() : near !== undefined && random() < 0.5 ? JSON.stringify(near) : value(2));
    switch (below(11)) {
        case 0: return ["$eq", any()];
        case 1: return ["$neq", any()];
        case 2: return ["$gt", plain()];
        case 3: return ["$gte", plain()];
        case 4: return ["$lt", plain()];
        case 5: return ["$lte", plain()];
        case 6: return ["$in", one([() => list(plain, 4), plain, piece])()];
        case 7: return ["$nin", one([() => list(plain, 4), plain, piece])()];
        case 8: return ["$startsWith", random() < 0.6 ? piece() : list(piece, 3)];
        case 9: return ["$endsWith", random() < 0.6 ? piece() : list(piece, 3)];
        default: return ["$exist", one(["true", "false"])];
    }
};
const unique = (members) => [...new Map(members).entries()];
const tests = (near) => object(unique([comparison(near), ...some(() => comparison(near), 1)]));
const several = (make) => `[${[make(), ...some(make, 2)].join(",")}]`;
const named = (near, depth) => {
    const names = isObject(near) ? Object.keys(near) : [];
    const name = names.length > 0 && random() < 0.8 ? one(names) : one(NAMES);
    const inner = isObject(near) && Object.hasOwn(near, name) ? near[name] : undefined;
    return [name, condition(depth, inner)];
};

// Condition of a list, where null is refused.
const listed = (depth, near) => {
    const made = condition(depth, near);
    return made === "null" ? '{"$eq":null}' : made;
};
// Condition on a field. An operator stands with operators, and $or alone.
const condition = (depth, near) => {
    const element = Array.isArray(near) ? one(near) : near;
    const kind = random();
    if (depth === 0 || kind < 0.2) return one([() => tests(near), () => tests(element), () => (isScalar(element) ? JSON.stringify(element) : scalar())])();
    if (kind < 0.4) return tests(random() < 0.5 ? near : element);
    if (kind < 0.5) return list(() => condition(depth - 1, Array.isArray(near) ? one(near) : undefined), 2);
    if (kind < 0.6) return object([["$or", several(() => listed(depth - 1, element))]]);
    const members = some(() => named(element, depth - 1), 2);
    if (random() < 0.2) members.push(["$and", several(() => listed(depth - 1, element))]);
    if (random() < 0.2) members.push(["$not", one([() => tests(element), () => object([named(element, depth - 1)]), () => "5", () => "[]"])()]);
    return object(unique(members));
};
// Condition on the event.
const filter = (depth, near) => {
    const members = [];
    if (random() < 0.9) members.push(["data", condition(3, near.data)]);
    if (random() < 0.15) members.push(["type", one(['"order.paid"', '{"$startsWith":"order."}', '["order.paid"]', '{"$in":["a","order.paid"]}'])]);
    if (random() < 0.1) members.push(["previous_data", condition(2, near.previous_data)]);
    if (depth > 0) {
        if (random() < 0.12) members.push(["$or", several(() => filter(depth - 1, near))]);
        if (random() < 0.1) members.push(["$and", several(() => filter(depth - 1, near))]);
        if (random() < 0.15) members.push(["$not", filter(depth - 1, near)]);
    }
    return object(members);
};
const event = () => {
    const members = [["type", '"order.paid"'], ["tenant", '"acme"'], ["id", '"o-1"'], ["data", value(4)]];
    const previous = value(3);
    // Null is the absence of the field.
    if (random() < 0.4 && previous !== "null") members.push(["previous_data", previous]);
    return object(members);
};

// Half of the pairs match, so that both results are tested.
let wanted = true;
for (let made = 0; made < count; ) {
    const subject = event();
    const schema = filter(2, JSON.parse(subject));
    const matches = match(JSON.parse(subject), JSON.parse(schema));
    if (schema.length > 250 || subject.length > 200) continue;
    if (matches !== wanted && random() < 0.9) continue;
    process.stdout.write(`{"filter":${schema},"event":${subject},"matches":${matches}}\n`);
    wanted = !wanted;
    made += 1;
}
