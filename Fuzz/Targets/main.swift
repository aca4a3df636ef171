internal import CFuzzer
internal import Glibc

/// What libFuzzer calls with each input. One program holds all targets; its first argument chooses: `apus-fuzz json -max_total_time=60 corpus/`.
typealias FuzzTarget = @Sendable (UnsafeRawBufferPointer) -> Void

let targets: [String: FuzzTarget] = [
    "archive": fuzzArchive,
    "cells": fuzzCells,
    "column": fuzzColumn,
    "connection": fuzzConnection,
    "filter": fuzzFilter,
    "graphql": fuzzGraphQL,
    "graphql-schema": fuzzGraphQLSchema,
    "http": fuzzHTTP,
    "json": fuzzJSON,
    "multipart": fuzzMultipart,
    "qdrant": fuzzQdrant,
    "query-schema": fuzzQuerySchema,
    "query-variables": fuzzQueryVariables,
    "response": fuzzResponse,
    "safetensors": fuzzSafetensors,
    "thunder": fuzzThunder,
    "thunder-connection": fuzzThunderConnection,
    "tokenizer": fuzzTokenizer,
    "websocket": fuzzWebSocket,
    "yaml": fuzzYAML,
]

guard let name = CommandLine.arguments.dropFirst().first, let target = targets[name] else {
    print(targets.keys.sorted().joined(separator: "\n"))
    exit(CommandLine.arguments.count > 1 ? 64 : 0)
}
/// Set once, before libFuzzer starts.
nonisolated(unsafe) var chosen: FuzzTarget = target

var arguments = CommandLine.unsafeArgv
// The target's name is not libFuzzer's: the program's own name moves into its place.
arguments[1] = arguments[0]
var start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments + 1
var count = CommandLine.argc - 1
exit(
    LLVMFuzzerRunDriver(&count, &start) { data, size in
        chosen(UnsafeRawBufferPointer(start: data, count: size))
        return 0
    })
