"""What tools see of a node over gRPC, with the unmodified grpcio packages. Arguments: HOST:PORT."""

import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICES = [
    "apus.v1.Node",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]

channel = grpc.insecure_channel(sys.argv[1])


def check_reflection():
    database = ProtoReflectionDescriptorDatabase(channel)
    assert list(database.get_services()) == SERVICES, database.get_services()
    pool = descriptor_pool.DescriptorPool(database)
    for service in SERVICES:
        assert pool.FindServiceByName(service).methods
    assert pool.FindFileByName("apus/v1/node.proto").package == "apus.v1"
    for symbol in ["apus.v1.Frame.kind", "apus.v1.Node.Exchange", "grpc.health.v1.HealthCheckResponse.ServingStatus"]:
        assert database.FindFileContainingSymbol(symbol).package == symbol.split(".v1")[0] + ".v1"
    # The health package's own file and the one that is served describe the same.
    served = descriptor_pb2.FileDescriptorProto()
    pool.FindFileByName("grpc/health/v1/health.proto").CopyToProto(served)
    assert [message.name for message in served.message_type][:2] == ["HealthCheckRequest", "HealthCheckResponse"]
    assert [value.name for value in served.message_type[1].enum_type[0].value] == list(health_pb2.HealthCheckResponse.ServingStatus.keys())
    return pool


def ask(service, **question):
    """One question of the reflection service, of whichever version."""
    call = channel.stream_stream(
        f"/grpc.reflection.{service}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(host="h", **question)
    (answer,) = call(iter([request]))
    assert answer.original_request == request and answer.valid_host == "h"
    return answer


def check_answers():
    extension = reflection_pb2.ExtensionRequest(containing_type="apus.v1.Frame", extension_number=7)
    for version in ["v1", "v1alpha"]:
        names = [service.name for service in ask(version, list_services="*").list_services_response.service]
        assert names == SERVICES, names
        assert ask(version, file_by_filename="apus/v1/node.proto").file_descriptor_response.file_descriptor_proto
        assert ask(version, file_containing_symbol="apus.v1.Request.trace").file_descriptor_response.file_descriptor_proto
        for question in [
            {"file_by_filename": "no.proto"},
            {"file_containing_symbol": "no.Symbol"},
            {"file_containing_extension": extension},
            {"all_extension_numbers_of_type": "no.Type"},
        ]:
            assert ask(version, **question).error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], question
        numbers = ask(version, all_extension_numbers_of_type="apus.v1.Frame").all_extension_numbers_response
        assert numbers.base_type_name == "apus.v1.Frame" and not numbers.extension_number
        assert ask(version).error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def check_many(count):
    """Many questions on one stream, in order."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    questions = (reflection_pb2.ServerReflectionRequest(host=str(index), list_services="") for index in range(count))
    assert [answer.valid_host for answer in stub.ServerReflectionInfo(questions)] == [str(index) for index in range(count)]


def check_health():
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest
    assert stub.Check(request()).status == health_pb2.HealthCheckResponse.SERVING
    assert stub.Check(request(service="vectors")).status == health_pb2.HealthCheckResponse.NOT_SERVING
    try:
        stub.Check(request(service="unknown"))
        raise AssertionError("an unknown service has no health")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
    seen = []
    watch = stub.Watch(request(service="changing"))
    limit = threading.Timer(30, watch.cancel)
    limit.daemon = True
    limit.start()
    for response in watch:
        seen.append(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
        if len(seen) == 3:
            break
        stub.Check(request(service="advance"))  # changes what is watched
    watch.cancel()
    assert seen == ["SERVICE_UNKNOWN", "NOT_SERVING", "SERVING"], seen


def check_exchange(pool):
    """The stream of nodes begins with a challenge, and is closed to whoever sends something else than a proof."""
    frames = message_factory.GetMessageClass(pool.FindMessageTypeByName("apus.v1.Frames"))
    call = channel.stream_stream(
        "/apus.v1.Node/Exchange", request_serializer=frames.SerializeToString, response_deserializer=frames.FromString
    )
    answers = call(iter([frames(frames=[{"request": {"id": 1, "method": "echo"}}])]))
    (frame,) = next(answers).frames
    assert frame.challenge.node == "server" and len(frame.challenge.nonce) == 32, frame
    try:
        next(answers)
        raise AssertionError("a request without a proof was taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    try:
        channel.unary_unary("/apus.v1.Node/Nothing")(b"")
        raise AssertionError("an unknown method answered")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


pool = check_reflection()
check_answers()
check_many(300)
check_exchange(pool)
check_health()
print("all is as tools expect")
