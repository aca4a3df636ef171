internal import ApusHTTP

extension QdrantFace {
    func mountPayloads(on routes: inout Routes) {
        write(&routes, .post, "/collections/{collection}/points/payload", "set_payload")
        write(&routes, .put, "/collections/{collection}/points/payload", "overwrite_payload")
        write(&routes, .post, "/collections/{collection}/points/payload/delete", "delete_payload")
        write(&routes, .post, "/collections/{collection}/points/payload/clear", "clear_payload")
    }
}
