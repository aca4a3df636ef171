// What the explorer's completion offers: `node completion.js explorer.js`.
"use strict";
const { readFileSync } = require("fs");
const { complete, index, lists, isSubscription } = new Function(
  readFileSync(process.argv[2], "utf8") + "; return { complete, index, lists, isSubscription };")();

const T=(n,k='OBJECT')=>({kind:k,name:n});
const schema=index({__schema:{queryType:{name:'Query'},mutationType:null,subscriptionType:{name:'Subscription'},directives:[{name:'skip',args:[{name:'if',type:T('Boolean','SCALAR')}]}],types:[
 {kind:'OBJECT',name:'Query',fields:[{name:'users',type:{kind:'LIST',ofType:T('User')},args:[{name:'filter',type:T('F','INPUT_OBJECT')},{name:'order',type:{kind:'LIST',ofType:T('O','INPUT_OBJECT')}},{name:'limit',type:T('Int','SCALAR')}]},{name:'shop',type:T('Shop'),args:[]}]},
 {kind:'OBJECT',name:'Subscription',fields:[{name:'query',type:T('Query'),args:[{name:'interval',type:T('Interval','SCALAR')}]}]},
 {kind:'OBJECT',name:'Shop',fields:[{name:'items',type:T('Query'),args:[]}]},
 {kind:'OBJECT',name:'User',fields:[{name:'id',type:T('Int','SCALAR'),args:[]},{name:'name',type:T('String','SCALAR'),args:[]},{name:'friends',type:T('User'),args:[]}]},
 {kind:'INPUT_OBJECT',name:'F',inputFields:[{name:'id',type:T('Op','INPUT_OBJECT')},{name:'_and',type:{kind:'LIST',ofType:T('F','INPUT_OBJECT')}}]},
 {kind:'INPUT_OBJECT',name:'Op',inputFields:[{name:'eq',type:T('Int','SCALAR')}]},
 {kind:'INPUT_OBJECT',name:'O',inputFields:[{name:'direction',type:T('Dir','ENUM')}]},
 {kind:'ENUM',name:'Dir',enumValues:[{name:'ASC'},{name:'DESC'}]},{kind:'SCALAR',name:'Boolean'},{kind:'SCALAR',name:'Int'}]}});
const offered = text =>complete(text, schema).options.map(one => one.text).join(',');
const cases = [
 ['{ ','users,shop,__typename'],['{ us','users'],['{ users { ','id,name,friends,__typename'],['{ a: users { na','name,__typename'],
 ['{ users(','filter,order,limit'],['{ users(filter: {','id,_and'],['{ users(filter: {id: {','eq'],['{ users(filter: {id: {eq: 1}, ','id,_and'],
 ['{ users(order: [{direction: ','ASC,DESC'],['{ users(filter: {_and: [{id: {eq: 1}}, {','id,_and'],['{ users(filter: {id: {eq: 1}}, l','limit,filter'],
 ['{ users(limit: 1) { ','id,name,friends,__typename'],['{ users { friends { na','name,__typename'],['{ users { id } ','users,shop,__typename'],
 ['subscription { ','query,__typename'],['subscription { query(interval: "1s") { sh','shop'],['query q($n: Int) { users(limit: ','$n'],['query q($n: Int) { users(limit: $','$n'],['query q($n: In','Int'],
 ['{ users { id @sk','@skip'],['{ ... on Us','User'],['fragment f on User { na','name,__typename'],['q','query'],['{ shop { items { us','users'],['{ users { ... on User { na','name,__typename'],['{ "a" # x','']
];
let failures = 0;
function check(what, found, expected) {
  if (found === expected) return;
  failures += 1;
  console.log(`${what}: ${found}, not ${expected}`);
}
for (const [text, expected] of cases) check(text, offered(text), expected);
check("lists", JSON.stringify(lists({ a: [{ b: 1 }], c: { d: [{ e: 1 }] }, f: [1] }).map(one => one.path)), '["a","c.d"]');
check("subscription", isSubscription("subscription { a }") && !isSubscription("{ subscription }"), true);
console.log(`${cases.length + 2} cases`);
process.exit(failures ? 1 : 0);
